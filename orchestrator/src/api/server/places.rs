//! Who may be connected. A connection waits until the header of a request is complete, and is busy until the answer has
//! left. Each kind has places of its own, so that slow senders never take the place of a request.

use saga_base::sync::UnpoisonedMutex;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Places of each kind, for all and for one address.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlaceLimits {
    /// Connections without a complete header. Beyond that the one that waits longest is closed.
    pub(super) waiting: usize,
    pub(super) waiting_of_one: usize,
    /// Connections with one. Beyond that a request is refused.
    pub(super) busy: usize,
    pub(super) busy_of_one: usize,
}

/// Operators, scrapers and services that start sagas, not the public. An address is often a proxy in front of many.
pub(super) const LIMITS: PlaceLimits = PlaceLimits { waiting: 256, waiting_of_one: 128, busy: 256, busy_of_one: 224 };
/// Maximum time for the header of a request, and between two requests.
pub(super) const HEADER: Duration = Duration::from_secs(10);

/// Why a connection lost its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlaceLoss {
    /// Its header did not come in time.
    Slow,
    /// Others needed the place.
    Crowded,
}

/// All connections of a server.
#[derive(Debug)]
pub(super) struct ConnectionTable {
    limits: PlaceLimits,
    held: UnpoisonedMutex<HeldPlaces>,
}

#[derive(Debug, Default)]
struct HeldPlaces {
    /// The turn of the next connection that begins to wait, or to be busy.
    next: u64,
    /// By turn: the first waits longest.
    waiting: BTreeMap<u64, WaitingConnection>,
    busy: BTreeMap<u64, IpAddr>,
}

#[derive(Debug)]
struct WaitingConnection {
    address: IpAddr,
    since: Instant,
    /// What the connection hears if it loses its place.
    loss: Arc<watch::Sender<Option<PlaceLoss>>>,
}

impl HeldPlaces {
    fn turn(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn waits(&mut self, connection: WaitingConnection) -> u64 {
        let turn = self.turn();
        self.waiting.insert(turn, connection);
        turn
    }

    fn close(&mut self, turn: u64, loss: PlaceLoss) {
        if let Some(closed) = self.waiting.remove(&turn) {
            closed.loss.send_replace(Some(loss));
        }
    }

    /// Closes who waits longest: of this address if it has too many, else of all.
    fn make_room(&mut self, address: IpAddr, limits: PlaceLimits) {
        let of_it = self.waiting.iter().filter(|(_, connection)| connection.address == address);
        let turns: Vec<u64> = of_it.map(|(turn, _)| *turn).collect();
        let first = if turns.len() > limits.waiting_of_one { turns.first().copied() } else { None };
        let first =
            first.or_else(|| self.waiting.keys().next().copied().filter(|_| self.waiting.len() > limits.waiting));
        if let Some(turn) = first {
            self.close(turn, PlaceLoss::Crowded);
        }
    }

    fn has_room_for_request(&self, address: IpAddr, limits: PlaceLimits) -> bool {
        let of_it = self.busy.values().filter(|busy| **busy == address).count();
        self.busy.len() < limits.busy && of_it < limits.busy_of_one
    }
}

impl ConnectionTable {
    pub(super) fn new(limits: PlaceLimits) -> Arc<ConnectionTable> {
        Arc::new(ConnectionTable { limits, held: UnpoisonedMutex::default() })
    }

    /// A new connection.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Arc<ConnectionPlace> {
        let loss = Arc::new(watch::Sender::new(None));
        let mut held = self.held.lock();
        let turn = held.waits(WaitingConnection { address, since: Instant::now(), loss: Arc::clone(&loss) });
        held.make_room(address, self.limits);
        drop(held);
        Arc::new(ConnectionPlace { table: Arc::clone(self), address, turn: UnpoisonedMutex::new(turn), loss })
    }

    /// Closes the connections that wait for too long at `now`.
    pub(super) fn end_slow(&self, now: Instant) {
        let mut held = self.held.lock();
        let slow = |connection: &WaitingConnection| now.saturating_duration_since(connection.since) >= HEADER;
        let turns: Vec<u64> = held.waiting.iter().filter(|(_, one)| slow(one)).map(|(turn, _)| *turn).collect();
        turns.into_iter().for_each(|turn| held.close(turn, PlaceLoss::Slow));
    }
}

/// The place of one connection; dropping it frees the place.
#[derive(Debug)]
pub(super) struct ConnectionPlace {
    table: Arc<ConnectionTable>,
    address: IpAddr,
    turn: UnpoisonedMutex<u64>,
    loss: Arc<watch::Sender<Option<PlaceLoss>>>,
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let turn = *self.turn.lock();
        let mut held = self.table.held.lock();
        held.waiting.remove(&turn);
        held.busy.remove(&turn);
    }
}

impl ConnectionPlace {
    /// Hears whether this connection has lost its place. Until it has ended, it gets another one with a whole header.
    pub(super) fn loss(&self) -> watch::Receiver<Option<PlaceLoss>> {
        self.loss.subscribe()
    }

    /// The header of a request is complete. `None`: too many requests are being answered.
    pub(super) fn begin_request(self: &Arc<Self>) -> Option<BusyPlace> {
        let mut turn = self.turn.lock();
        let mut held = self.table.held.lock();
        if !held.has_room_for_request(self.address, self.table.limits) {
            return None;
        }
        held.waiting.remove(&turn);
        self.loss.send_replace(None);
        *turn = held.turn();
        held.busy.insert(*turn, self.address);
        Some(BusyPlace(Arc::clone(self)))
    }

    /// Whether no request is being answered.
    pub(super) fn is_waiting(&self) -> bool {
        let turn = *self.turn.lock();
        !self.table.held.lock().busy.contains_key(&turn)
    }

    fn end_request(&self) {
        let mut turn = self.turn.lock();
        let mut held = self.table.held.lock();
        if held.busy.remove(&turn).is_some() {
            let (address, loss) = (self.address, Arc::clone(&self.loss));
            *turn = held.waits(WaitingConnection { address, since: Instant::now(), loss });
            held.make_room(address, self.table.limits);
        }
    }
}

/// A request that is being answered; dropping it lets its connection wait for the next one.
#[derive(Debug)]
pub(super) struct BusyPlace(Arc<ConnectionPlace>);

impl Drop for BusyPlace {
    fn drop(&mut self) {
        self.0.end_request();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: PlaceLimits = PlaceLimits { waiting: 3, waiting_of_one: 2, busy: 2, busy_of_one: 1 };

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn lost(place: &ConnectionPlace) -> Option<PlaceLoss> {
        *place.loss.borrow()
    }

    #[test]
    fn who_waits_longest_makes_room() {
        let table = ConnectionTable::new(FEW);
        let all: Vec<_> = (1..=4).map(|last| table.enter(address(last))).collect();
        let losses: Vec<_> = all.iter().map(|place| lost(place)).collect();
        assert_eq!(losses, [Some(PlaceLoss::Crowded), None, None, None]);
    }

    #[test]
    fn an_address_with_many_connections_makes_room_itself() {
        let table = ConnectionTable::new(FEW);
        let other = table.enter(address(1));
        let greedy: Vec<_> = (0..3).map(|_| table.enter(address(2))).collect();
        assert_eq!((lost(&other), lost(&greedy[0])), (None, Some(PlaceLoss::Crowded)));
    }

    #[test]
    fn a_request_has_a_place_that_those_who_wait_cannot_take() {
        let table = ConnectionTable::new(FEW);
        let place = table.enter(address(1));
        let busy = place.begin_request().expect("there is room");
        let crowd: Vec<_> = (2..=9).map(|last| table.enter(address(last))).collect();
        assert!(lost(&place).is_none() && !place.is_waiting());
        drop(busy);
        assert!(place.is_waiting() && lost(&place).is_none(), "it waits as the last one");
        drop(crowd);
    }

    #[test]
    fn a_header_that_is_complete_at_the_last_moment_counts() {
        let table = ConnectionTable::new(FEW);
        let place = table.enter(address(1));
        let _crowd: Vec<_> = (2..=9).map(|last| table.enter(address(last))).collect();
        assert_eq!(lost(&place), Some(PlaceLoss::Crowded));
        let _busy = place.begin_request().expect("requests have places of their own");
        assert_eq!(lost(&place), None);
    }

    #[test]
    fn too_many_requests_are_refused_and_their_places_come_back() {
        let table = ConnectionTable::new(FEW);
        let [one, same, two, three] = [1, 1, 2, 3].map(|last| table.enter(address(last)));
        let busy = one.begin_request().expect("there is room");
        assert!(same.begin_request().is_none(), "an address has its share");
        let second = two.begin_request().expect("there is room");
        assert!(three.begin_request().is_none(), "all places are taken");
        drop((busy, second, one, two));
        assert!(three.begin_request().is_some());
    }

    #[test]
    fn who_sends_no_header_in_time_loses_its_place() {
        let table = ConnectionTable::new(FEW);
        let (place, other) = (table.enter(address(1)), table.enter(address(2)));
        let _busy = other.begin_request().expect("there is room");
        table.end_slow(Instant::now());
        assert_eq!(lost(&place), None);
        table.end_slow(Instant::now() + HEADER);
        assert_eq!((lost(&place), lost(&other)), (Some(PlaceLoss::Slow), None));
    }
}
