//! alexa-skill
