use super::*;

#[test]
fn grants_shrink_towards_the_limit_and_always_cover_the_need() {
    #[rustfmt::skip]
    let cases = [
        // name                          limit  settled  on_loan  suspense  need  want  granted
        ("plenty: as wanted",            1_000, 0,       0,       0,        10,   100,  100),
        ("a quarter of what is left",    1_000, 600,     200,     0,        10,   100,  50),
        ("suspense is not lent",         1_000, 600,     0,       200,      10,   100,  50),
        ("the need, though a quarter",   100,   0,       90,      0,        10,   100,  10),
        ("the need does not fit",        100,   0,       91,      0,        10,   100,  0),
        ("nobody waits, little is left", 100,   98,      0,       0,        0,    100,  0),
        ("nothing is left",              100,   100,     0,       0,        1,    1,    0),
        ("limit lowered below use",      100,   400,     50,      0,        1,    1,    0),
        ("a free call",                  100,   100,     0,       0,        0,    0,    0),
        ("sums beyond u64 lend nothing", 100,   u64::MAX, 9,      9,        1,    1,    0),
    ];
    for (name, limit, settled, on_loan, suspense, need, want, granted) in cases {
        let mut pool = Pool { limit, settled, on_loan, suspense, ..Pool::default() };
        let mut lease = Lease::default();
        assert_eq!(pool.grant(&mut lease, need, want), granted, "{name}");
        assert_eq!(lease.outstanding(), granted, "{name}");
        assert_eq!(pool.on_loan, on_loan + granted, "{name}");
    }
}

#[test]
fn use_is_booked_whatever_covers_it() {
    #[rustfmt::skip]
    let cases = [
        // name                       granted  silent  amount  beyond  loan  suspense  overrun
        ("covered",                   100,     false,  30,     0,      30,   0,        0),
        ("beyond its hold",           100,     false,  30,     20,     10,   0,        20),
        ("more than was ever lent",   100,     false,  130,    0,      100,  0,        30),
        ("late, out of suspense",     100,     true,   30,     0,      0,    30,       0),
        ("without a lease",           0,       false,  30,     30,     0,    0,        30),
        ("beyond more than all",      100,     false,  30,     50,     0,    0,        30),
    ];
    for (name, granted, silent, amount, beyond, from_loan, from_suspense, overrun) in cases {
        let mut pool = Pool { limit: 1_000, ..Pool::default() };
        let mut lease = Lease::default();
        pool.grant(&mut lease, granted, granted);
        if silent {
            pool.expire(&mut lease);
        }
        let settled = pool.settle(&mut lease, amount, beyond);
        assert_eq!(settled, Settled { from_loan, from_suspense, overrun }, "{name}");
        assert_eq!((pool.settled, pool.overrun), (amount, overrun), "{name}");
        assert_eq!(pool.on_loan + pool.suspense + pool.covered(), granted, "{name}");
    }
}

#[test]
fn who_comes_back_has_what_it_had() {
    let mut pool = Pool { limit: 100, ..Pool::default() };
    let mut lease = Lease::default();
    pool.grant(&mut lease, 40, 40);
    assert_eq!((pool.expire(&mut lease), pool.expire(&mut lease)), (40, 0), "expires once");
    assert_eq!((lease.outstanding(), pool.suspense), (0, 40));
    assert_eq!(pool.revive(&mut lease), 40);
    assert_eq!((lease.outstanding(), pool.on_loan, pool.suspense), (40, 40, 0));
    assert_eq!(pool.give_back(&mut lease, 50), 40, "no more than it has");
    assert_eq!(pool.free(), 100);
}
