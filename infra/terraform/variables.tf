variable "name" {
  description = "Name of the function in each region"
  type        = string
  default     = "ma-cloud-forwarder"
}

variable "zip" {
  description = "The forwarder's zip: one file `bootstrap`, for arm64"
  type        = string
}

variable "skill_id" {
  description = "Only directives of this skill are taken"
  type        = string
}

variable "skill_urls" {
  description = "The skill backend nearest to each region, without a path. One backend for all is right for one cloud"
  type = object({
    north_america = string
    europe        = string
    far_east      = string
  })
}

variable "environment" {
  description = "More settings of the forwarder"
  type        = map(string)
  default     = {}
  sensitive   = true
}
