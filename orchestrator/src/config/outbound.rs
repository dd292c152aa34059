//! `outbound.allow`, `outbound.allowReserved`: where participants may be.

use super::ConfigValidator;
use saga_resilience::outbound::AddressPolicy;

/// The key of the list of hosts and networks that may be called.
pub(super) const ALLOW: &str = "outbound.allow";
/// The key of reserved addresses that may be called.
pub(super) const ALLOW_RESERVED: &str = "outbound.allowReserved";

impl ConfigValidator<'_> {
    pub(super) fn outbound(&mut self) -> AddressPolicy {
        let (allow, reserved) = (self.entries(ALLOW), self.entries(ALLOW_RESERVED));
        let reserved = reserved.unwrap_or_default();
        self.checked_entries(ALLOW, AddressPolicy::new(allow.as_deref(), &[]));
        self.checked_entries(ALLOW_RESERVED, AddressPolicy::new(None, &reserved));
        AddressPolicy::new(allow.as_deref(), &reserved).unwrap_or_default()
    }

    /// The entries of a list; `None`: it is not set. An empty list may mean both, so it is refused.
    fn entries(&mut self, key: &str) -> Option<Vec<String>> {
        let setting = self.layers.get(key)?;
        let entries = setting.value.split(',').map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
        let entries: Vec<String> = entries.collect();
        if entries.is_empty() {
            let expected = "expected hosts or networks, or leave the key out";
            self.errors.push(format!("{}: `{key}` is empty: {expected}", setting.source));
        }
        Some(entries)
    }

    fn checked_entries(
        &mut self,
        key: &str,
        policy: Result<AddressPolicy, saga_resilience::outbound::AddressRuleError>,
    ) {
        let (Err(error), Some(setting)) = (policy, self.layers.get(key)) else { return };
        self.errors.push(format!("{}: `{key}`: {error}", setting.source));
    }
}
