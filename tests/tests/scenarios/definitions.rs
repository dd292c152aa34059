//! Definitions that several scenarios share.

/// Reserve, charge, ship: each with an undo.
pub(super) const ORDER: &str = r#"
steps:
  - step: reserve
    do: inventory.ReserveStock
    with: {orderId: "${ event.orderId }"}
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    with: {orderId: "${ event.orderId }"}
    undo: POST payments/refunds
  - step: ship
    do: inventory.ShipParcel
    undo: inventory.RecallParcel
"#;

/// The same, and both ends are told to the topic of orders.
pub(super) fn order_with_outcomes(orders: &str) -> String {
    format!(
        "{ORDER}
output: {{reservation: \"${{ steps.reserve.reservationId }}\"}}
onCompleted: {{publish: {orders}, type: OrderFulfilled}}
onCompensated: {{publish: {orders}, type: OrderRejected}}
"
    )
}
