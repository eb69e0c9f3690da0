# The Lambda forwarder in Alexa's three regions. Which of them a directive comes to depends on where the customer's account is:
# a skill that is offered in one part of the world only needs only that one, but discovery fails silently where it is missing.
#
#   terraform -chdir=infra/terraform init
#   terraform -chdir=infra/terraform apply -var-file=mine.tfvars
#
# How the zip is built is told in infra/lambda.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40, < 7.0"
    }
  }
}

provider "aws" {
  alias  = "north_america"
  region = "us-east-1"
}

# India, too.
provider "aws" {
  alias  = "europe"
  region = "eu-west-1"
}

# Australia and Japan.
provider "aws" {
  alias  = "far_east"
  region = "us-west-2"
}

module "north_america" {
  source      = "./forwarder"
  providers   = { aws = aws.north_america }
  name        = var.name
  zip         = var.zip
  skill_id    = var.skill_id
  skill_url   = var.skill_urls.north_america
  environment = var.environment
}

module "europe" {
  source      = "./forwarder"
  providers   = { aws = aws.europe }
  name        = var.name
  zip         = var.zip
  skill_id    = var.skill_id
  skill_url   = var.skill_urls.europe
  environment = var.environment
}

module "far_east" {
  source      = "./forwarder"
  providers   = { aws = aws.far_east }
  name        = var.name
  zip         = var.zip
  skill_id    = var.skill_id
  skill_url   = var.skill_urls.far_east
  environment = var.environment
}

output "endpoints" {
  description = "For the skill's manifest: apis.smartHome.regions"
  value = {
    NA = module.north_america.arn
    EU = module.europe.arn
    FE = module.far_east.arn
  }
}
