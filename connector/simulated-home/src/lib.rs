//! A simulated Music Assistant.
