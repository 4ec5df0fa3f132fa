use paulina::*;
#[tokio::test]
async fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.db");
    let r = Registry::open(&path).await.unwrap();
    let reg = Registration::stdio("filesystem", ["/x"]).id("a").tool("read_file").tool(Tool::from_json(serde_json::json!({"name":"writeFile","description":"Writes files to the repository on GitHub"})).unwrap()).tag("local").resource("file:///{p}").metadata("a","b").capability("sampling").prompt("sum");
    let a = r.register(reg.clone()).await.unwrap();
    println!("{}", serde_json::to_string_pretty(&a.server).unwrap());
    assert_eq!(r.get("a").await.unwrap().unwrap(), a.server);
    let b = r.register(reg).await.unwrap();
    assert!(!b.created);
    assert_eq!(b.server.updated_at, a.server.updated_at);
    let f = Filter::new()
        .tool("read_file")
        .tag("local")
        .resource("file:///tmp/x")
        .words("github runn fil")
        .capability("tools")
        .metadata("a", "b");
    let p = r.find(f.words("repo")).await;
    println!("{p:?}");
    let p = r
        .find(Filter::new().tool("read_file").tag("local").resource("file:///tmp/x").words("github fil"))
        .await
        .unwrap();
    assert_eq!(p.servers.len(), 1);
    println!("{}", serde_json::to_string_pretty(&p).unwrap());
    println!(
        "{}",
        serde_json::to_string_pretty(&r.tools(Filter::new().words("write")).await.unwrap()).unwrap()
    );
    println!("{}", serde_json::to_string_pretty(&r.stats().await.unwrap()).unwrap());
    println!("{:?}", r.refresh(&b).await.unwrap());
    println!("{:?}", r.refresh(&a).await);
    println!("{:?}", r.health("a").await);
    r.deregister(&b).await.unwrap();
    r.close().await;
    for e in std::fs::read_dir(dir.path()).unwrap() {
        println!("{:?}", e);
    }
}
