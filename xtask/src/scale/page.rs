//! `docs/scale.md`, from the results. The prose is here; every number in it is computed or an assumption.

mod assumed;
mod caching;
mod costs;
mod stops;
mod summary;

use super::results::Results;

/// The page.
pub fn page(results: &Results) -> String {
    [
        HEAD.to_owned(),
        summary::section(results),
        assumed::section(),
        caching::section(results),
        costs::section(results),
        stops::section(results),
        SIMPLIFIED.to_owned(),
    ]
    .join("\n")
}

const HEAD: &str = "\
# How far it scales

For those who choose Admit, or run it, and want to know before they have ten million customers. How often does a check wait for KV, what does KV cost, and where does the design stop? Everything below comes from a model: nobody has run Admit with a billion customers. `cargo xtask scale` simulates and computes it, and writes this page and the plot; the same numbers come out on every machine. `cargo xtask scale --check` fails if the page is not what it would write.

- [In short](#in-short) · [What is assumed](#what-is-assumed) · [How often a check is cold](#how-often-a-check-is-cold)
- [What it costs](#what-it-costs) · [Where the design stops](#where-the-design-stops) · [What was simplified](#what-was-simplified)
";

const SIMPLIFIED: &str = "\
## What was simplified

Each of these moves the numbers; none of them is known well enough to be modelled.

- **KV at a point of presence** is taken to keep a value for exactly `cacheTtl` from its fetch. In truth KV refreshes what is read often before it runs out, which makes hot values hotter, and the data centre may drop what is read rarely sooner, which makes the columns of a day and a week best cases. How many points of presence share a cache is Cloudflare's to know.
- **A cold read has one price.** In truth KV asks a regional data centre first, and only then the central stores. Shards are shared by all points of presence of a region, keys of customers are not, so that this favours shards.
- **One check for each viewing session.** Further checks of the same session find everything in memory or hot in any layout.
- **A customer asks at one point of presence**, and all live in one time zone. Points of presence of other time zones would have their peaks at other hours, which changes little here: neither cache is limited by its peak.
- **Changes are independent of checks.** In truth who has just bought is who checks, and finds the purchase in the delta, in memory. That helps shards, and is left out.
- **Items** are a few thousand records that every check shares: always in memory, left out. So is what a request to a Worker costs, which is the same in all layouts.
- **Isolates** are taken to be used evenly, and to end at random moments. A new one also loads index and directory before its first answer, which is left out.
- **Every head that an isolate reads names a new delta.** A quiet origin changes less often than that.
- **The formulas** know nothing of what the two caches have in common at one moment; the comparison above shows how little that matters.
- **Prices** are list prices without the subscription of $5 a month. A billion customers would come with a contract.
";

#[cfg(test)]
mod tests {
    /// Slow parts need the simulation; the others must be on the page as they would be written now.
    #[test]
    fn the_page_in_the_repository_is_current() {
        // Cargo runs tests in their package's directory.
        let page = std::fs::read_to_string("../docs/scale.md").unwrap();
        for part in [
            super::HEAD.to_owned(),
            super::assumed::section(),
            super::costs::writing(),
            super::stops::tables(),
            super::SIMPLIFIED.to_owned(),
        ] {
            assert!(page.contains(&part), "docs/scale.md is old: cargo xtask scale\n{part}");
        }
    }
}
