//! What a scrape is shown of what is recorded. The recorder forgets nothing: who is configured no more would be shown
//! as it was for ever, and its alerts would never end.

/// Families whose label `name` is a participant's, as Resilience4j has it.
const BY_NAME: &str = "resilience4j_";

/// `rendered` without the series of participants that are not there any more, and without histograms that have counted
/// nothing.
#[must_use]
pub fn shown(rendered: &str, is_there: &dyn Fn(&str) -> bool) -> String {
    let mut shown = String::with_capacity(rendered.len());
    // The lines of a histogram come one after the other, and the last of them counts.
    let mut histogram = String::new();
    for line in rendered.lines() {
        if participant(line).is_some_and(|name| !is_there(name)) {
            continue;
        }
        let (family, value) = parts(line);
        if family.ends_with("_bucket") || family.ends_with("_sum") {
            push(&mut histogram, line);
        } else if family.ends_with("_count") && !histogram.is_empty() {
            if value != "0" {
                shown.push_str(&histogram);
                push(&mut shown, line);
            }
            histogram.clear();
        } else {
            push(&mut shown, line);
        }
    }
    shown
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// The name of a series and its value; of a comment nothing.
fn parts(line: &str) -> (&str, &str) {
    if line.starts_with('#') {
        return ("", "");
    }
    let family = line.split(['{', ' ']).next().unwrap_or_default();
    (family, line.rsplit(' ').next().unwrap_or_default())
}

/// Whose series it is.
fn participant(line: &str) -> Option<&str> {
    if line.starts_with('#') {
        return None;
    }
    let label = if line.starts_with(BY_NAME) { "name=\"" } else { "participant=\"" };
    let (before, rest) = line.split_once(label)?;
    before.ends_with(['{', ',']).then(|| rest.split('"').next()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_participants_that_are_gone_are_left_out_and_so_is_what_has_counted_nothing() {
        let rendered = "\
# TYPE resilience4j_circuitbreaker_state gauge
resilience4j_circuitbreaker_state{name=\"payments\",state=\"open\"} 0
resilience4j_circuitbreaker_state{name=\"gone\",state=\"open\"} 1
# TYPE saga_guard_parked gauge
saga_guard_parked{guard=\"breaker\",participant=\"gone\"} 12
saga_guard_parked{participant=\"payments\",guard=\"breaker\"} 0
# TYPE saga_commits_total counter
saga_commits_total 0
# TYPE saga_guard_wait_seconds histogram
saga_guard_wait_seconds_bucket{participant=\"payments\",guard=\"health\",le=\"1\"} 0
saga_guard_wait_seconds_sum{participant=\"payments\",guard=\"health\"} 0
saga_guard_wait_seconds_count{participant=\"payments\",guard=\"health\"} 0
saga_guard_wait_seconds_bucket{participant=\"payments\",guard=\"breaker\",le=\"1\"} 10
saga_guard_wait_seconds_sum{participant=\"payments\",guard=\"breaker\"} 3
saga_guard_wait_seconds_count{participant=\"payments\",guard=\"breaker\"} 10
";
        let left: Vec<&str> =
            rendered.lines().filter(|line| !line.contains("gone") && !line.contains("health")).collect();
        let shown = shown(rendered, &|name| name == "payments");
        assert_eq!(shown.lines().collect::<Vec<_>>(), left);
    }
}
