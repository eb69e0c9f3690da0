//! The Alexa skill backend of MA Cloud: directives and requests in, sealed commands out.
//!
//! The modules are the steps that a directive takes; [`journey`](crate) tells them in order.

pub mod answer;
pub mod directive;
pub mod failure;
pub mod request;
pub mod resolve;
pub mod token;
pub mod translate;
