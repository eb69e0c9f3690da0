//! Being told to stop: soft first (finish what you hold), then hard (leave now).

use tokio_util::sync::CancellationToken;

/// Told to every task that runs until the program ends. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Stop {
    /// Not stopping yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ask everyone to finish what they hold and take nothing new.
    pub fn stop_soft(&self) {
        self.soft.cancel();
    }

    /// Ask everyone to leave now. Implies soft.
    pub fn stop_hard(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Resolves when a soft (or hard) stop was asked for. Safe to cancel.
    pub async fn soft(&self) {
        self.soft.cancelled().await;
    }

    /// Resolves when a hard stop was asked for. Safe to cancel.
    pub async fn hard(&self) {
        self.hard.cancelled().await;
    }

    /// Whether a soft stop was asked for.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// A stop that follows this one, but can also be stopped alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { soft: self.soft.child_token(), hard: self.hard.child_token() }
    }
}
