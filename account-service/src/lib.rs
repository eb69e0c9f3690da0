//! account-service
