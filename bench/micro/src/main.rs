//! Does a step so many times: `micro-bench STEP TIMES`. Under `valgrind --tool=callgrind`, what two runs differ by is
//! what so many steps more cost, to the instruction.

fn main() -> anyhow::Result<()> {
    #[cfg(not(target_arch = "wasm32"))]
    {
        use anyhow::Context as _;
        use micro_bench::{Step, Subject};

        let mut args = std::env::args().skip(1);
        let (name, times) = (args.next().context("no step")?, args.next().context("no number")?);
        let step = Step::ALL.iter().find(|(known, _)| *known == name).context("no such step")?.1;
        println!("{}", Subject::new()?.repeat(step, times.parse()?)?);
    }
    Ok(())
}
