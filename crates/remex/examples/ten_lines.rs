//! A replicated store inside a program: `cargo run --example ten_lines -p remex`.
#![expect(clippy::print_stdout, reason = "an example says what it does")]

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?; // A program that keeps its data names a directory of its own.
    let store = remex::Store::builder(directory.path()).open().await?;
    store.put("greeting", "hello").await?;
    store.put_json("limits", &[("requests", 100), ("seconds", 60)]).await?;
    let greeting = store.get("greeting").await?.expect("it was just put");
    println!("{:?} since revision {}", greeting.text(), greeting.revision);
    for entry in store.list("").await?.entries {
        println!("{:?} = {:?}", entry.key, entry.text());
    }
    Ok(store.close().await?)
}
