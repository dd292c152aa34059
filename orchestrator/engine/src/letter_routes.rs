//! To which topic a dead letter goes.

use std::{collections::BTreeMap, sync::Arc};

/// The topics of dead letters: the usual one, and those of the dead letters of single topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRoutes {
    usual: Arc<str>,
    of: BTreeMap<String, Arc<str>>,
}

impl LetterRoutes {
    /// `of`: topics whose dead letters go to a topic of their own, and that topic.
    pub fn new(usual: &str, of: impl IntoIterator<Item = (String, String)>) -> LetterRoutes {
        let of = of.into_iter().map(|(origin, topic)| (origin, Arc::from(topic))).collect();
        LetterRoutes { usual: Arc::from(usual), of }
    }

    /// The topic of the dead letters of all topics that have none of their own.
    #[must_use]
    pub fn usual(&self) -> &Arc<str> {
        &self.usual
    }

    /// The topic of the dead letters of records of `origin`.
    #[must_use]
    pub fn topic_of(&self, origin: &str) -> &Arc<str> {
        self.of.get(origin).unwrap_or(&self.usual)
    }

    /// Every topic of dead letters once, the usual one first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<str>> {
        let mut all = vec![Arc::clone(&self.usual)];
        for topic in self.of.values() {
            if !all.contains(topic) {
                all.push(Arc::clone(topic));
            }
        }
        all
    }

    /// Whether `topic` is one of them.
    #[must_use]
    pub fn has(&self, topic: &str) -> bool {
        *self.usual == *topic || self.of.values().any(|own| **own == *topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_goes_to_the_topic_of_its_origin_or_to_the_usual_one() {
        let of = [("orders", "shop.dlq"), ("refunds", "shop.dlq"), ("stock", "stock.dlq")];
        let routes = LetterRoutes::new("dlq", of.map(|(origin, topic)| (origin.to_owned(), topic.to_owned())));
        assert_eq!(
            ["refunds", "stock", "else"].map(|origin| &**routes.topic_of(origin)),
            ["shop.dlq", "stock.dlq", "dlq"]
        );
        assert_eq!(
            ["dlq", "shop.dlq", "stock.dlq", "orders"].map(|topic| routes.has(topic)),
            [true, true, true, false]
        );
        assert_eq!(routes.all().iter().map(|topic| &**topic).collect::<Vec<_>>(), ["dlq", "shop.dlq", "stock.dlq"]);
    }
}
