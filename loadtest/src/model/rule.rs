//! The rules that the model checks, each of which it can be told to break: a check that nothing has ever failed says nothing.

/// What the design promises of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Rule {
    /// A home remembers which commands it was given.
    HomesRemember,
    /// What is sent again has the id that it had.
    IdsStay,
    /// A session's goodbye takes away its own place in the directory only.
    GoodbyesCompare,
    /// A node's word that a session is there counts in the directory only if none is newer.
    PlacesCompare,
    /// A node lets a session go when it hears that a newer one has replaced it.
    ReplacedLetGo,
    /// A node whose lease is over asks the directory before it uses a session.
    LeasesEnd,
    /// A node asks the directory before it uses a session older than one that its caller has heard of.
    CallersAreHeard,
    /// After a session was given a command, no later loss is "not sent".
    WrittenIsRemembered,
    /// Nor is a call that has left for another node.
    LeftIsRemembered,
    /// A node that has answered a call does not answer it again.
    AnswersOnce,
    /// Whoever asks gives up soon after the deadline.
    CallersGiveUp,
}
