//! The AWS Lambda function between Alexa and MA Cloud's skill backend.
//!
//! Alexa sends smart-home directives to Lambda only. This program takes each one from Lambda's runtime API ([`runtime`]),
//! looks whether it is a directive at all ([`directive`]), posts it to the skill backend as it came ([`skill`]), and hands
//! the answer back. When there is no answer, or none that Alexa could use, it makes one itself that says so ([`event`]):
//! whatever happens, Alexa gets one event, in time. [`forward`] tells this way from end to end.
//!
//! It keeps nothing from one directive to the next but a connection, decides about nothing, and logs no content. The bearer
//! token inside a directive is the authority; the key of [`settings`] only keeps strangers away from the backend.

mod connection;
pub mod directive;
pub mod event;
pub mod forward;
pub mod log;
pub mod runtime;
pub mod settings;
pub mod skill;
