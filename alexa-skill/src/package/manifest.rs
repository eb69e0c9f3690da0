//! The manifest and account linking: whose the skill is, where it is answered, and what stands in the store.

use serde_json::{Map, Value, json};

use super::{LOCALES, Published, language, spell};

/// Whose package it is.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Where people sign in: `https://…` without a path.
    pub accounts: String,
    /// Where Alexa calls the custom part.
    pub skill: String,
    /// The functions that pass smart home directives on, the one of most people first.
    pub functions: Vec<Function>,
    /// The two icons stand here as `icon-108.png` and `icon-512.png`.
    pub icons: String,
    /// The OAuth client that stands for Alexa.
    pub client_id: String,
    /// The countries of the people who use it.
    pub countries: Vec<String>,
    /// Whether Alexa is told what players do when nobody asked.
    pub events: bool,
}

/// A function in one of Amazon's three regions.
#[derive(Debug, Clone)]
pub struct Function {
    /// `NA`, `EU` or `FE`.
    pub region: &'static str,
    /// Its ARN.
    pub arn: String,
}

/// The one of the committed files: every address in it is to be replaced.
impl Default for Deployment {
    fn default() -> Self {
        let function = |(region, name): (&'static str, &str)| Function {
            region,
            arn: format!("arn:aws:lambda:{name}:000000000000:function:ma-cloud-forwarder"),
        };
        Self {
            accounts: "https://account.example.org".into(),
            skill: "https://skill.example.org".into(),
            functions: [("NA", "us-east-1"), ("EU", "eu-west-1"), ("FE", "us-west-2")].map(function).into(),
            icons: "https://skill.example.org/assets".into(),
            client_id: "alexa".into(),
            countries: ["US", "GB", "IE", "DE", "AT", "FR", "ES", "IT", "NL"].map(str::to_owned).into(),
            events: false,
        }
    }
}

pub(super) fn manifest(deployment: &Deployment) -> Value {
    let endpoint = json!({"uri": format!("{}/alexa/v1/custom", deployment.skill), "sslCertificateType": "Trusted"});
    let by_locale = |make: &dyn Fn(&str) -> Value| -> Map<String, Value> {
        LOCALES.iter().map(|locale| ((*locale).to_owned(), make(locale))).collect()
    };
    let permissions: &[&str] = if deployment.events { &["alexa::async_event:write"] } else { &[] };
    let permissions: Vec<Value> = permissions.iter().map(|name| json!({"name": name})).collect();
    json!({"manifest": {
        "manifestVersion": "1.0",
        "publishingInformation": {
            "locales": by_locale(&|locale| published(locale, deployment)),
            "isAvailableWorldwide": false,
            "distributionCountries": deployment.countries,
            "category": "SMART_HOME",
            "testingInstructions": TESTING,
        },
        "privacyAndCompliance": {
            "allowsPurchases": false,
            "usesPersonalInfo": true,
            "isChildDirected": false,
            "isExportCompliant": true,
            "containsAds": false,
            "locales": by_locale(&|_| json!({
                "privacyPolicyUrl": format!("{}/privacy", deployment.accounts),
                "termsOfUseUrl": format!("{}/terms", deployment.accounts),
            })),
        },
        "permissions": permissions,
        // So that what is kept for a person's Alexa is forgotten when they disable the skill.
        "events": {
            "endpoint": endpoint,
            "subscriptions": [{"eventName": "SKILL_ACCOUNT_LINKED"}, {"eventName": "SKILL_DISABLED"}],
        },
        "apis": {
            "smartHome": smart_home(&deployment.functions),
            "custom": {"endpoint": endpoint, "interfaces": []},
        },
    }})
}

fn smart_home(functions: &[Function]) -> Value {
    let endpoint = |function: &Function| json!({"uri": function.arn});
    let regions: Map<String, Value> = functions
        .iter()
        .map(|function| (function.region.to_owned(), json!({"endpoint": endpoint(function)})))
        .collect();
    json!({"protocolVersion": "3", "endpoint": functions.first().map(endpoint), "regions": regions})
}

fn published(locale: &str, deployment: &Deployment) -> Value {
    let (language, spelling) = language(locale);
    let Published { summary, description, example_phrases, keywords, .. } = &language.published;
    json!({
        "name": "Music Assistant",
        "summary": spell(summary, spelling),
        "description": spell(description, spelling),
        "examplePhrases": example_phrases,
        "keywords": keywords,
        "smallIconUri": format!("{}/icon-108.png", deployment.icons),
        "largeIconUri": format!("{}/icon-512.png", deployment.icons),
    })
}

/// The client's secret is no part of it: it is given when it is uploaded.
pub(super) fn account_linking(deployment: &Deployment) -> Value {
    json!({"accountLinkingRequest": {
        "type": "AUTH_CODE",
        "authorizationUrl": format!("{}/oauth/authorize", deployment.accounts),
        "accessTokenUrl": format!("{}/oauth/token", deployment.accounts),
        "clientId": deployment.client_id,
        "scopes": [macloud_proto::SCOPE_READ, macloud_proto::SCOPE_CONTROL],
        "accessTokenScheme": "HTTP_BASIC",
        "domains": [],
        "defaultTokenExpirationInSeconds": 3600,
    }})
}

const TESTING: &str = "Sign in with the demo account given in the submission form. Its home runs permanently and has the \
players Kitchen and Living Room. Say: Alexa, discover devices. Then: Alexa, set Kitchen to volume 3. Alexa, ask music \
assistant to play Kind of Blue in the kitchen.";
