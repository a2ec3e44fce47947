#![allow(clippy::unwrap_used)]
use super::*;
use crate::signature::settings::SignatureMode;

const START: Duration = Duration::from_hours(500_000);
const PERIOD: Duration = Duration::from_secs(10);

/// A table with the number of principals that there are.
struct Table(ReplayTable, Settings, usize);

impl Table {
    fn enter(&self, principal: &str, seen: Seen, now: Duration) -> Result<(), Refusal> {
        let share = self.1.share(self.2);
        self.0.enter((principal, share), seen, now)
    }
}

fn settings(replay_table: usize, max_age: Duration) -> Settings {
    Settings {
        mode: SignatureMode::Require,
        keys: "clients.jwks".into(),
        require: Vec::new(),
        cover: Vec::new(),
        max_age,
        skew: Duration::from_secs(3),
        replay_table,
    }
}

fn among(all: &Arc<ReplayTables>, settings: Settings) -> Table {
    Table(all.table(&settings), settings, 1)
}

/// A table of so many entries, half of them in a period.
fn table(replay_table: usize, principals: usize) -> Table {
    let settings = settings(replay_table, Duration::from_secs(6));
    let table = Arc::<ReplayTables>::default().table(&settings);
    Table(table, settings, principals)
}

#[test]
fn what_was_seen_is_refused_for_its_whole_period() {
    let table = table(100, 1);
    let late = START + Duration::from_millis(9_999);
    assert_eq!(table.enter("a", [1; 16], late), Ok(()));
    for after in [0, 1, 5_000, 9_999] {
        let now = late + Duration::from_millis(after);
        let again = table.enter("a", [1; 16], now);
        assert_eq!(again, Err(Refusal::Replayed), "{after}");
    }
    assert_eq!(table.enter("a", [1; 16], late + PERIOD * 3), Ok(()));
}

#[test]
fn a_full_table_refuses_what_is_new_and_what_is_old() {
    let table = table(4, 1);
    for entry in 0..2 {
        assert_eq!(table.enter("a", [entry; 16], START), Ok(()));
    }
    let later = START + Duration::from_millis(3_500);
    let full = Err(Refusal::TableFull(7));
    assert_eq!(table.enter("a", [9; 16], later), full);
    assert_eq!(table.enter("a", [1; 16], START), Err(Refusal::Replayed));
    let next = START + PERIOD;
    assert_eq!(table.enter("a", [9; 16], next), Ok(()));
    assert_eq!(table.enter("a", [1; 16], next), Err(Refusal::Replayed));
}

#[test]
fn one_principal_leaves_room_for_the_others() {
    let table = table(8, 2);
    for entry in 0..2 {
        assert_eq!(table.enter("a", [entry; 16], START), Ok(()));
    }
    let full = table.enter("a", [2; 16], START);
    assert_eq!(full, Err(Refusal::TableFull(11)));
    assert_eq!(table.enter("b", [3; 16], START), Ok(()));
    let next = START + PERIOD;
    assert_eq!(table.enter("a", [2; 16], next), Ok(()));
}

#[test]
fn two_principals_cannot_refuse_a_third() {
    let table = table(24, 3);
    for entry in 0..6 {
        assert_eq!(table.enter("a", [entry; 16], START), Ok(()));
        assert_eq!(table.enter("b", [100 + entry; 16], START), Ok(()));
    }
    for entry in 0..4 {
        assert_eq!(table.enter("c", [200 + entry; 16], START), Ok(()));
    }
    assert_eq!(
        table.enter("c", [9; 16], START),
        Err(Refusal::TableFull(11))
    );
}

/// One principal may fill the table; after a reload it has company.
#[test]
fn who_comes_by_a_reload_gets_a_share_of_a_full_table() {
    let mut table = table(8, 1);
    for entry in 0..4 {
        assert_eq!(table.enter("a", [entry; 16], START), Ok(()));
    }
    table.2 = 2;
    assert_eq!(
        table.enter("a", [8; 16], START),
        Err(Refusal::TableFull(11))
    );
    for entry in 0..2 {
        assert_eq!(table.enter("b", [100 + entry; 16], START), Ok(()));
    }
    assert_eq!(
        table.enter("b", [9; 16], START),
        Err(Refusal::TableFull(11))
    );
}

#[test]
fn however_many_reloads_add_principals_a_bucket_has_a_bound() {
    let table = table(8, 1);
    let admitted = (0..100_u8).filter(|entry| {
        let principal = format!("principal-{entry}");
        table.enter(&principal, [*entry; 16], START).is_ok()
    });
    assert_eq!(admitted.count(), 8);
}

#[test]
fn what_one_listener_accepted_is_a_replay_at_another_for_as_long_as_it_is_fresh_there() {
    let all = Arc::default();
    let short = among(&all, settings(100, Duration::from_secs(6)));
    let long = among(&all, settings(100, Duration::from_secs(96)));
    assert_eq!(short.enter("a", [1; 16], START), Ok(()));
    for second in 1..100 {
        let now = START + Duration::from_secs(second);
        // It goes on serving others meanwhile.
        let other = Seen::from([u8::try_from(second).unwrap() + 100; 16]);
        let _ = short.enter("b", other, now);
        let again = long.enter("a", [1; 16], now);
        assert_eq!(again, Err(Refusal::Replayed), "{second}");
    }
}

#[test]
fn each_listener_has_its_own_room() {
    let all = Arc::default();
    let busy = among(&all, settings(1000, Duration::from_secs(6)));
    let small = among(&all, settings(4, Duration::from_secs(6)));
    for entry in 0..200_u8 {
        assert_eq!(busy.enter("a", [entry; 16], START), Ok(()));
    }
    for entry in [201, 202] {
        assert_eq!(small.enter("a", [entry; 16], START), Ok(()));
    }
    let full = small.enter("a", [203; 16], START);
    assert_eq!(full, Err(Refusal::TableFull(11)));
}

#[test]
fn a_reload_forgets_nothing_that_is_fresh_and_refuses_nothing_that_is_new() {
    let all = Arc::default();
    let now = Clock::default().now();
    let before = among(&all, settings(1000, Duration::from_secs(6)));
    for entry in 0..100_u8 {
        assert_eq!(before.enter("a", [entry; 16], now), Ok(()));
    }
    let after = among(&all, settings(8, Duration::from_secs(50)));
    drop(before);
    let later = now + Duration::from_secs(40);
    assert_eq!(after.enter("a", [1; 16], later), Err(Refusal::Replayed));
    assert_eq!(after.enter("a", [200; 16], later), Ok(()));
    assert_eq!(all.lock().len(), 2);
    let stale = now + Duration::from_mins(2);
    assert_eq!(after.enter("a", [201; 16], stale), Ok(()));
    assert_eq!(
        all.lock().len(),
        1,
        "what is stale everywhere is given back"
    );
    drop(among(&all, settings(8, Duration::from_secs(50))));
    assert_eq!(all.lock().len(), 1, "one that saw nothing leaves nothing");
}
