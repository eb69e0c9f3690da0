//! What happened to an account, for its owner.

use macloud_proto::ids::{AccountId, base32};
use macloud_service_kit::random;

use super::{Db, Result, StoreError, Tx, statements, values};

statements! {
    INSERT = "INSERT INTO activity (id, account_id, happened_at, kind, detail, sequence) SELECT $1, id, $3, $4, $5, (SELECT COALESCE(MAX(sequence), 0) + 1 FROM activity WHERE account_id = $2) FROM accounts WHERE id = $2";
    PAGE = "SELECT happened_at, sequence, id, kind, detail FROM activity WHERE account_id = $1 \
            AND (happened_at < $2 OR (happened_at = $2 AND (sequence < $3 OR (sequence = $3 AND id < $4)))) \
            ORDER BY happened_at DESC, sequence DESC, id DESC LIMIT 51";
}

/// What can happen. The text is what is stored.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind { $($(#[$doc])* $name),* }
        impl Kind {
            const ALL: &[Self] = &[$(Self::$name),*];
            const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}
kinds! {
    SignedUp = "signed_up";
    SignedIn = "signed_in";
    EmailChanged = "email_changed";
    PasskeyAdded = "passkey_added";
    PasskeyRemoved = "passkey_removed";
    ProviderLinked = "provider_linked";
    ProviderUnlinked = "provider_unlinked";
    PasswordChanged = "password_changed";
    SecondStepOn = "second_step_on";
    SecondStepOff = "second_step_off";
    RecoveryCodesRenewed = "recovery_codes_renewed";
    AppLinked = "app_linked";
    AppUnlinked = "app_unlinked";
    HomeAllowed = "home_allowed";
    HomeRefused = "home_refused";
    HomeLinked = "home_linked";
    HomePaused = "home_paused";
    HomeResumed = "home_resumed";
    HomeRenamed = "home_renamed";
    HomeAssistantBound = "home_assistant_bound";
    HomeAssistantRemoved = "home_assistant_removed";
    HomeUnlinked = "home_unlinked";
    InvitationMade = "invitation_made";
    InvitationRevoked = "invitation_revoked";
    InvitationDeclined = "invitation_declined";
    MemberJoined = "member_joined";
    MemberLeft = "member_left";
    MemberRemoved = "member_removed";
    HomeJoined = "home_joined";
    HomeLeft = "home_left";
    HomeLost = "home_lost";
    HomeOffered = "home_offered";
    HomeGiven = "home_given";
    HomeTaken = "home_taken";
    HomeReplaced = "home_replaced";
    DataExported = "data_exported";
    PlanNearlyUsed = "plan_nearly_used";
    PlanUsedUp = "plan_used_up";
    PlanChanged = "plan_changed";
    /// What operators did.
    SecondStepReset = "second_step_reset";
    SessionsEnded = "sessions_ended";
    Suspended = "suspended";
    Unsuspended = "unsuspended";
}

/// One line of the log.
pub(crate) struct Happened {
    pub(crate) at: i64,
    /// Orders what happened to an account within a second.
    pub(crate) sequence: i64,
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) detail: String,
}

/// Note what happened, after it did. A line that cannot be written does not undo what it is about, so this only warns.
pub(crate) async fn note(db: &Db, account: &AccountId, kind: Kind, detail: &str, now: i64) {
    let id = base32(&random::bytes::<10>());
    if let Err(error) = db.write(INSERT, values![&id, account.as_str(), now, kind.text(), detail]).await {
        tracing::warn!(%error, account.id = %account, "a line of the activity log was lost");
    }
}

/// The same within the transaction that makes it happen: for what is answered once, and so must not wait for anything once
/// it is done.
pub(crate) async fn note_in(tx: &mut Tx, account: &AccountId, kind: Kind, detail: &str, now: i64) -> Result<()> {
    let id = base32(&random::bytes::<10>());
    tx.write(INSERT, values![&id, account.as_str(), now, kind.text(), detail]).await?;
    Ok(())
}

type Row = (i64, i64, String, String, String);

/// The lines that come after this place, newest first: one more than a page.
pub(crate) async fn page(db: &Db, account: &AccountId, after: (i64, i64, &str)) -> Result<Vec<Happened>> {
    let (at, sequence, id) = after;
    let rows: Vec<Row> = db.rows(PAGE, values![account.as_str(), at, sequence, id]).await?;
    let parse = |(at, sequence, id, kind, detail): Row| {
        let known = Kind::ALL.iter().copied().find(|known| known.text() == kind);
        let kind = known.ok_or(StoreError::Inconsistent { table: "activity", column: "kind" })?;
        Ok(Happened { at, sequence, id, kind, detail })
    };
    rows.into_iter().map(parse).collect()
}
