variable "name" {
  description = "Name of the function, and the beginning of the names of what belongs to it"
  type        = string
}

variable "zip" {
  description = "The forwarder's zip: one file `bootstrap`, for arm64"
  type        = string
}

variable "skill_id" {
  description = "Only directives of this skill are taken"
  type        = string
  validation {
    condition     = can(regex("^amzn1\\.ask\\.skill\\.[0-9a-f-]{36}$", var.skill_id))
    error_message = "A skill's id looks like amzn1.ask.skill.00000000-0000-0000-0000-000000000000."
  }
}

variable "skill_url" {
  description = "The skill backend that is nearest to this region, without a path"
  type        = string
  validation {
    condition     = can(regex("^https://[^/]+$", var.skill_url))
    error_message = "https://HOST is expected, without a path."
  }
}

variable "environment" {
  description = "More settings of the forwarder"
  type        = map(string)
  default     = {}
  sensitive   = true
}

variable "reserved_concurrency" {
  description = "Directives that may be under way at a time; -1 for what the account has left"
  type        = number
  default     = -1
}

variable "log_retention_days" {
  description = "How long logs are kept"
  type        = number
  default     = 14
}

variable "alarm_topics" {
  description = "SNS topics of this region that hear of alarms"
  type        = list(string)
  default     = []
}
