//! Five nodes in one process, the walk of huffleraft's example: a node alone, joins through several
//! members, a hundred writes and a delete through one that does not lead, and two nodes that die.
//! `cargo run --example five_nodes -p remex`. Says what it does, and checks what it says.
#![expect(clippy::print_stdout, reason = "an example says what it does")]

use std::error::Error;
use std::path::Path;

use remex::{ErrorCode, Store};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut nodes = start(folder.path()).await?;
    join(&nodes).await?;
    write_through_node_3(&nodes).await?;
    read_everywhere(&nodes).await?;

    println!("nodes 1 and 2 die");
    drop(nodes.drain(..2));
    let (node_3, node_5) = (&nodes[0], &nodes[2]);
    node_5.put("after", "two of five are gone").await?;
    let found = node_3.get("after").await?.expect("it was acknowledged");
    println!("the rest goes on: {:?}, led by {:?}", found.text(), node_3.status().leader());
    assert_eq!(found.text(), Some("two of five are gone"));
    assert_eq!(node_3.list("key-").await?.entries.len(), 99);

    println!("another one dies: two of five are no majority");
    drop(nodes.remove(0));
    let patience = std::time::Duration::from_secs(2);
    let error = nodes[0].within(patience).put("lost", "?").await.expect_err("no majority");
    println!("a write says so instead of hanging: {error}");
    assert!(matches!(error.code, ErrorCode::NoLeader | ErrorCode::Timeout), "{error}");
    let stale = nodes[0].stale().get("after").await?.expect("every member has it");
    println!("what is there can still be read: {:?}", stale.text());
    Ok(())
}

/// Node 1 is a cluster of its own; the others wait to be taken in.
async fn start(folder: &Path) -> Result<Vec<Store>, Box<dyn Error>> {
    let mut nodes = Vec::new();
    for number in 1..=5 {
        let builder = Store::builder(folder.join(format!("node-{number}")))
            .name(format!("node-{number}"))
            .listen("127.0.0.1:0");
        let builder = if number == 1 { builder } else { builder.wait() };
        let node = builder.open().await?;
        println!("node {number} listens at {}", node.peer_address());
        nodes.push(node);
    }
    Ok(nodes)
}

/// Joins work through any member.
async fn join(nodes: &[Store]) -> Result<(), Box<dyn Error>> {
    for (through, number) in [(1, 2), (1, 3), (3, 4), (2, 5)] {
        let address = nodes[number - 1].peer_address().to_string();
        let member = nodes[through - 1].join(address).await?;
        println!("{} joined through node {through}", member.name);
    }
    let members = nodes[3].status().cluster.members;
    assert_eq!(members.len(), 5);
    assert!(members.iter().all(|member| member.role == remex::MemberRole::Voter));
    Ok(())
}

/// Node 3 forwards to the leader, whoever that is. What is applied is followed on node 4.
async fn write_through_node_3(nodes: &[Store]) -> Result<(), Box<dyn Error>> {
    let (node_3, node_4) = (&nodes[2], &nodes[3]);
    let mut changes = node_4.changes(node_3.revision().next());
    for number in 0..100 {
        node_3.put(format!("key-{number}"), format!("value-{number}")).await?;
    }
    let deleted = node_3.delete("key-0").await?;
    let previous = deleted.previous.expect("the key was there");
    println!("100 sets and a delete through node 3; key-0 was {:?}", previous.text());
    let mut last = None;
    for _ in 0..101 {
        last = changes.next().await.transpose()?;
    }
    let last = last.expect("node 4 is open");
    println!("node 4 saw all of them; the last: {:?}", last.changes);
    assert_eq!(last.revision, deleted.revision);
    assert!(last.changes[0].value().is_none());
    Ok(())
}

async fn read_everywhere(nodes: &[Store]) -> Result<(), Box<dyn Error>> {
    for node in nodes {
        assert_eq!(node.get("key-0").await?, None);
        for number in 1..100 {
            let entry = node.get(format!("key-{number}")).await?.expect("it was put");
            assert_eq!(entry.text(), Some(format!("value-{number}").as_str()));
        }
    }
    println!("all five nodes agree on 99 keys");
    Ok(())
}
