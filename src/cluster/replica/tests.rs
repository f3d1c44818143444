use super::*;
use crate::types::{Duration, Epoch, Instant, Random, Seed};
use proptest::prelude::*;

const STREAM: StreamId = StreamId::new(7, Epoch(3));

/// A cable that loses, repeats, delays and reorders, by seed.
struct Cable {
    random: Random,
    loss: u64,
    under_way: Vec<(Instant, Vec<u8>)>,
}

impl Cable {
    fn put(&mut self, now: Instant, datagrams: &mut Vec<Vec<u8>>) {
        for datagram in datagrams.drain(..) {
            while self.random.below(100) < 3 {
                self.throw(now, datagram.clone());
            }
            self.throw(now, datagram);
        }
    }

    fn throw(&mut self, now: Instant, datagram: Vec<u8>) {
        if self.random.below(100) >= self.loss {
            let late = self.random.below(10) == 0;
            let delay = 100 + self.random.below(if late { 3000 } else { 100 });
            self.under_way.push((now + Duration::from_micros(delay), datagram));
        }
    }

    fn next(&self) -> Option<Instant> {
        self.under_way.iter().map(|(at, _)| *at).min()
    }

    fn take(&mut self, now: Instant) -> Option<Vec<u8>> {
        let place = self.under_way.iter().position(|(at, _)| *at <= now)?;
        Some(self.under_way.swap_remove(place).1)
    }
}

struct Line {
    now: Instant,
    there: Cable,
    back: Cable,
    sender: Sender,
    receiver: Receiver,
    told: SenderOutbox,
    heard: ReceiverOutbox,
    /// Chunks that the table has not applied yet, and when it will have.
    slow: Vec<(Instant, StreamId, u64)>,
    given: Vec<Vec<u8>>,
    begun: usize,
    random: Random,
}

impl Line {
    fn new(seed: u64, loss: u64) -> Line {
        let cable = |purpose| Cable { random: Seed([seed, purpose]).random(), loss, under_way: Vec::new() };
        let mut told = SenderOutbox::default();
        Line {
            now: Instant::ZERO,
            there: cable(1),
            back: cable(2),
            sender: Sender::new(Instant::ZERO, STREAM, &mut told),
            receiver: Receiver::new(),
            told,
            heard: ReceiverOutbox::default(),
            slow: Vec::new(),
            given: Vec::new(),
            begun: 0,
            random: Seed([seed, 3]).random(),
        }
    }

    /// Hands everything on, then goes to the next moment at which something happens.
    fn step(&mut self) {
        let now = self.now;
        self.there.put(now, &mut self.told.datagrams);
        self.back.put(now, &mut self.heard.datagrams);
        while let Some(datagram) = self.there.take(now) {
            self.receiver.handle_datagram(now, &datagram, &mut self.heard);
        }
        for item in self.heard.items.drain(..) {
            match item {
                Item::Begin(_) => {
                    self.begun += 1;
                    self.given.clear();
                }
                Item::Chunk(sequence, chunk) => {
                    assert_eq!(sequence, self.given.len() as u64 + 1);
                    self.given.push(chunk);
                    let applied = now + Duration::from_micros(self.random.below(500));
                    self.slow.push((applied, self.receiver.stream().unwrap(), sequence));
                }
            }
        }
        for (at, stream, sequence) in std::mem::take(&mut self.slow) {
            if at <= now {
                self.receiver.handle_applied(now, stream, sequence, &mut self.heard);
            } else {
                self.slow.push((at, stream, sequence));
            }
        }
        while let Some(datagram) = self.back.take(now) {
            self.sender.handle_datagram(now, &datagram, &mut self.told);
        }
        self.sender.handle_timeout(now, &mut self.told);
        self.receiver.handle_timeout(now, &mut self.heard);
        if !self.told.datagrams.is_empty() || !self.heard.datagrams.is_empty() {
            return;
        }
        let next = [
            self.there.next(),
            self.back.next(),
            self.sender.poll_timeout().map(|(at, _)| at),
            self.receiver.poll_timeout().map(|(at, _)| at),
            self.slow.iter().map(|(at, ..)| *at).min(),
        ];
        if let Some(next) = next.into_iter().flatten().min() {
            self.now = next.max(now + Duration::from_micros(1));
        }
    }

    fn push(&mut self, number: u32) -> bool {
        let room = self.sender.credit() > 0;
        assert!(self.sender.newest() - self.sender.acked() <= WINDOW);
        room && self.sender.push(self.now, number.to_be_bytes().to_vec(), &mut self.told)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn what_is_given_out_is_what_was_pushed(seed in any::<u64>(), loss in 0u64..40, count in 1u32..1500) {
        let mut line = Line::new(seed, loss);
        let mut pushed = 0;
        for _ in 0..400_000 {
            while pushed < count && line.push(pushed) {
                pushed += 1;
            }
            line.step();
            if line.sender.acked() == u64::from(count) {
                break;
            }
        }
        let expected: Vec<_> = (0..count).map(|number| number.to_be_bytes().to_vec()).collect();
        prop_assert_eq!(&line.given, &expected);
        prop_assert_eq!(line.begun, 1);
        prop_assert_eq!(line.sender.acked(), u64::from(count));
        prop_assert_eq!(line.sender.snapshot(line.now).lag, Duration::ZERO);
        // And then there is silence.
        for _ in 0..100_000 {
            if line.sender.poll_timeout().is_none() && line.there.next().is_none() && line.back.next().is_none() {
                break;
            }
            line.step();
        }
        prop_assert_eq!(line.sender.poll_timeout(), None);
    }

    #[test]
    fn a_new_stream_begins_anew_and_the_old_one_is_over(seed in any::<u64>(), loss in 0u64..30) {
        let mut line = Line::new(seed, loss);
        let mut pushed = 0;
        for _ in 0..2000 {
            if line.push(pushed) {
                pushed += 1;
            }
            line.step();
        }
        let second = StreamId::new(7, Epoch(4));
        line.sender = Sender::new(line.now, second, &mut line.told);
        let mut pushed = 0;
        for _ in 0..400_000 {
            while pushed < 300 && line.push(1000 + pushed) {
                pushed += 1;
            }
            line.step();
            if line.sender.acked() == 300 {
                break;
            }
        }
        let expected: Vec<_> = (1000..1300u32).map(|number| number.to_be_bytes().to_vec()).collect();
        prop_assert_eq!(&line.given, &expected);
        prop_assert_eq!(line.receiver.stream(), Some(second));
    }

    #[test]
    fn datagrams_are_total(bytes in prop::collection::vec(any::<u8>(), 0..100), kind in prop_oneof![0u8..5, 31u8..38]) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        if let Some(datagram) = Datagram::decode(&bytes) {
            prop_assert_eq!(datagram.encode(), bytes.clone());
        }
        let mut line = Line::new(1, 0);
        line.sender.handle_datagram(Instant::ZERO, &bytes, &mut line.told);
        line.receiver.handle_datagram(Instant::ZERO, &bytes, &mut line.heard);
    }
}

#[test]
fn a_stream_is_synced_when_the_end_of_the_walk_was_applied() {
    let mut line = Line::new(1, 0);
    for _ in 0..10 {
        line.step();
    }
    assert!(!line.sender.synced());
    let complete = vec![crate::wire::pair::flow::VERSION, 5];
    assert!(line.sender.push(line.now, complete, &mut line.told));
    assert!(line.push(1));
    for _ in 0..50 {
        line.step();
    }
    assert!(line.sender.synced());
    assert_eq!((line.receiver.newest(), line.receiver.applied(), line.sender.acked()), (2, 2, 2));
}

#[test]
fn the_window_is_the_bound_of_everything() {
    let mut told = SenderOutbox::default();
    let mut sender = Sender::new(Instant::ZERO, STREAM, &mut told);
    assert_eq!(sender.credit(), 0, "the peer has not answered yet");
    assert!(!sender.push(Instant::ZERO, vec![1], &mut told));
    let ack =
        |received, applied| Datagram::Ack { stream: STREAM, received, applied, beyond: [0; 4] }.encode();
    sender.handle_datagram(Instant::ZERO, &ack(0, 0), &mut told);
    for _ in 0..WINDOW {
        assert!(sender.push(Instant::ZERO, vec![1], &mut told));
    }
    assert!(!sender.push(Instant::ZERO, vec![1], &mut told));
    // What has come is not applied yet: no more room.
    sender.handle_datagram(Instant::ZERO, &ack(WINDOW, 0), &mut told);
    assert_eq!((sender.credit(), sender.acked(), sender.newest()), (0, 0, WINDOW));
    sender.handle_datagram(Instant::ZERO, &ack(WINDOW, 10), &mut told);
    assert_eq!((sender.credit(), sender.acked()), (10, 10));
    for impossible in [ack(WINDOW + 1, 0), ack(5, 6), ack(u64::MAX, u64::MAX)] {
        sender.handle_datagram(Instant::ZERO, &impossible, &mut told);
    }
    let SenderCounters { impossible, overrun, .. } = sender.snapshot(Instant::ZERO).counters;
    assert_eq!((impossible, overrun), (3, 2));
    // Nor does a receiver keep what is beyond it.
    let (mut receiver, mut heard) = (Receiver::new(), ReceiverOutbox::default());
    receiver.handle_datagram(Instant::ZERO, &Datagram::Begin(STREAM).encode(), &mut heard);
    let data = Datagram::Data { stream: STREAM, sequence: WINDOW + 1, chunk: &[] }.encode();
    receiver.handle_datagram(Instant::ZERO, &data, &mut heard);
    assert_eq!(receiver.snapshot().counters.beyond, 1);
}

/// What the release before says is understood, and it understands what is said to it.
#[test]
fn datagrams_of_version_1_are_the_same() {
    use crate::wire::pair::frozen_v1;
    let stream = StreamId(0x0102_0304_0506_0708);
    let beyond = [1, 0, u64::MAX, 1 << 63];
    for (frozen, present) in [
        (frozen_v1::stream_begin(stream.0), Datagram::Begin(stream)),
        (
            frozen_v1::stream_data(stream.0, 7, b"chunk"),
            Datagram::Data { stream, sequence: 7, chunk: b"chunk" },
        ),
        (
            frozen_v1::stream_ack(stream.0, 9, 8, &beyond),
            Datagram::Ack { stream, received: 9, applied: 8, beyond },
        ),
    ] {
        assert_eq!(Datagram::decode(&frozen), Some(present));
        assert_eq!(present.encode(), frozen);
    }
}
