# One region's Lambda forwarder: it takes smart-home directives from Alexa, and posts each one, unchanged, to the skill backend.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40, < 7.0"
    }
  }
}

data "aws_region" "here" {}

locals {
  # aws_region has called this `id` in every version of the provider.
  region = data.aws_region.here.id
}

data "aws_iam_policy_document" "lambda_may_take_the_role" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "forwarder" {
  name               = "${var.name}-${local.region}"
  assume_role_policy = data.aws_iam_policy_document.lambda_may_take_the_role.json
}

# Its own log group, and nothing else: the forwarder needs no other service of AWS.
data "aws_iam_policy_document" "write_logs" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.forwarder.arn}:*"]
  }
}

resource "aws_iam_role_policy" "write_logs" {
  name   = "write-logs"
  role   = aws_iam_role.forwarder.id
  policy = data.aws_iam_policy_document.write_logs.json
}

resource "aws_cloudwatch_log_group" "forwarder" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "forwarder" {
  function_name    = var.name
  description      = "Hands Alexa's smart-home directives to MA Cloud"
  role             = aws_iam_role.forwarder.arn
  filename         = var.zip
  source_code_hash = filebase64sha256(var.zip)
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = ["arm64"]
  memory_size      = 256
  # Alexa gives up after 8 seconds. The forwarder answers after 7 by itself, so that this is never reached.
  timeout                        = 8
  reserved_concurrent_executions = var.reserved_concurrency

  environment {
    variables = merge(var.environment, { MACLOUD_SKILL_URL = var.skill_url })
  }

  depends_on = [aws_cloudwatch_log_group.forwarder, aws_iam_role_policy.write_logs]
}

# Directives are not signed: this is what says that they come from Alexa, and from this skill.
resource "aws_lambda_permission" "alexa" {
  statement_id       = "AlexaSmartHome"
  action             = "lambda:InvokeFunction"
  function_name      = aws_lambda_function.forwarder.function_name
  principal          = "alexa-connectedhome.amazon.com"
  event_source_token = var.skill_id
}

# Errors of the function itself: what the skill backend answers, and that it does not answer, is no error here.
resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "${var.name}-errors"
  alarm_description   = "The forwarder crashed or ran out of time"
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = aws_lambda_function.forwarder.function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 5
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topics
}

# A directive that is turned away for lack of room is one that nobody answers.
resource "aws_cloudwatch_metric_alarm" "throttles" {
  alarm_name          = "${var.name}-throttles"
  alarm_description   = "Directives were turned away: raise the concurrency"
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  dimensions          = { FunctionName = aws_lambda_function.forwarder.function_name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topics
}

output "arn" {
  description = "For the skill's manifest"
  value       = aws_lambda_function.forwarder.arn
}
