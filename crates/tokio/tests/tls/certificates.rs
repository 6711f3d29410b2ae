//! Which certificates are shown and believed, and loading them anew.

use super::*;

#[tokio::test]
async fn clients_are_verified_where_an_authority_is_named() {
    within(async {
        let world = World::new();
        let (trusted, other) = (Authority::new(), Authority::new());
        let ca = world.folder.file("ca.pem", &trusted.pem());
        let own = files(&world.folder, "again", &world.authority.sign(NAME));
        let (good, bad) = (trusted.sign("ada.example"), other.sign("eve.example"));
        for ask in [ClientCertificates::Optional, ClientCertificates::Required] {
            for tls12 in [false, true] {
                let tls = TlsConfig::builder().pem_files(&own.0, &own.1).client_ca(&ca, ask).build().unwrap();
                let policy = Noting::new();
                let server = start_implicit(Server::builder(policy.clone()).tls(tls)).await;
                for (shows, welcome) in
                    [(Some(&good), true), (None, ask == ClientCertificates::Optional), (Some(&bad), false)]
                {
                    let client = config(world.authority.roots(), shows, tls12);
                    let met = match Secure::connect(server.address, client, NAME).await {
                        // Under TLS 1.3 the client is done before it is judged.
                        Ok(mut client) => match client.reply().await {
                            Ok(Some(greeting)) => {
                                assert!(greeting.starts_with("220 "));
                                client.say("EHLO ada.example", 250).await;
                                true
                            }
                            _ => false,
                        },
                        Err(_) => false,
                    };
                    assert_eq!(met, welcome, "{ask:?}, TLS 1.2: {tls12}, shows one: {}", shows.is_some());
                }
                let seen = policy.seen.lock().unwrap().clone();
                let subject = seen[0].as_ref().unwrap().client.as_ref().unwrap().subject.clone();
                assert_eq!(subject.as_deref(), Some("CN=ada.example"));
                assert!(seen[1..].iter().all(|tls| tls.as_ref().unwrap().client.is_none()));
            }
        }
    })
    .await;
}

/// The certificate that a server shows to who asks for a name.
async fn shown(address: SocketAddr, world: &World, name: &str) -> Option<Vec<u8>> {
    let mut client = Secure::connect(address, Arc::clone(&world.client), name).await.ok()?;
    client.expect(220).await;
    Some(client.tls.peer_certificates().unwrap()[0].to_vec())
}

#[tokio::test]
async fn a_client_is_shown_the_certificate_for_the_name_that_it_asks_for() {
    within(async {
        let world = World::new();
        let names = ["mx.example", "*.wild.example", "other.example"];
        let pairs = names.map(|name| world.authority.sign(name));
        let mut builder = TlsConfig::builder();
        for (at, pair) in pairs.iter().enumerate() {
            let (chain, key) = files(&world.folder, &at.to_string(), pair);
            builder = builder.pem_files(chain, key);
        }
        let policy = Noting::new();
        let server = start_implicit(Server::builder(policy.clone()).tls(builder.build().unwrap())).await;
        for (name, at) in [("mx.example", 0), ("a.wild.example", 1), ("OTHER.example", 2)] {
            let der = shown(server.address, &world, name).await.unwrap();
            assert!(der == pairs[at].der.to_vec(), "{name}");
            // The binding is to the one that was shown.
            let mut client = Secure::connect(server.address, Arc::clone(&world.client), name).await.unwrap();
            client.expect(220).await;
            client.say("EHLO x.example", 250).await;
            let info = policy.seen.lock().unwrap().pop().unwrap().unwrap();
            let hash = ring::digest::digest(&ring::digest::SHA256, &pairs[at].der);
            assert_eq!(info.binding.end_point(), Some(hash.as_ref()));
        }
        // Nobody's name: the first certificate, which this client doesn't believe.
        assert_eq!(shown(server.address, &world, "nobody.example").await, None);
    })
    .await;
}

#[tokio::test]
async fn certificates_are_loaded_anew_and_a_failure_keeps_the_old_ones() {
    within(async {
        let world = World::new();
        let server = start_implicit(world.builder(AcceptAll(Memory::new(1 << 20)))).await;
        let mut under_way = Secure::connect(server.address, Arc::clone(&world.client), NAME).await.unwrap();
        under_way.expect(220).await;
        let old = shown(server.address, &world, NAME).await.unwrap();
        let next = world.authority.sign(NAME);
        // The key of the new one is missing yet.
        let (chain, key) = files(&world.folder, NAME, &next);
        world.folder.file(&format!("{NAME}.key"), &world.authority.sign(NAME).key.serialize_pem());
        let error = world.tls.reload().unwrap_err();
        assert_eq!((error.file(), error.fault()), (Some(&*key), &TlsFault::KeyOfAnother));
        assert!(shown(server.address, &world, NAME).await.unwrap() == old);
        std::fs::remove_file(&chain).unwrap();
        let error = world.tls.reload().unwrap_err();
        assert!(matches!(error.fault(), TlsFault::Unreadable(_)) && error.file() == Some(&*chain));
        files(&world.folder, NAME, &next);
        world.tls.reload().unwrap();
        assert!(shown(server.address, &world, NAME).await.unwrap() == next.der.to_vec());
        under_way.say("EHLO x.example", 250).await;
        under_way.say("QUIT", 221).await;
    })
    .await;
}

#[test]
fn what_is_wrong_with_which_file_is_told() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let (chain, key) = files(&folder, "good", &authority.sign(NAME));
    let (_, other_key) = files(&folder, "other", &authority.sign(NAME));
    let empty = folder.file("empty", "");
    let broken = folder.file("broken", "-----BEGIN CERTIFICATE-----\nsecret!\n-----END CERTIFICATE-----\n");
    let missing = folder.file("x", "").with_file_name("missing");
    let nonsense = folder.file("nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let build = |chain: &std::path::Path, key: &std::path::Path| {
        TlsConfig::builder().pem_files(chain, key).build().unwrap_err()
    };
    for (error, file, told) in [
        (build(&missing, &key), &missing, "cannot be read"),
        (build(&empty, &key), &empty, "no certificate"),
        (build(&broken, &key), &broken, "not PEM"),
        (build(&nonsense, &key), &nonsense, "cannot be used"),
        (build(&chain, &missing), &missing, "cannot be read"),
        (build(&chain, &chain), &chain, "no private key"),
        (build(&chain, &other_key), &other_key, "another certificate"),
        (
            TlsConfig::builder()
                .pem_files(&chain, &key)
                .client_ca(&empty, ClientCertificates::Optional)
                .build()
                .unwrap_err(),
            &empty,
            "no certificate",
        ),
        (
            TlsConfig::builder()
                .pem_files(&chain, &key)
                .client_ca(&nonsense, ClientCertificates::Optional)
                .build()
                .unwrap_err(),
            &nonsense,
            "no authority",
        ),
    ] {
        let text = error.to_string();
        assert_eq!(error.file(), Some(&**file), "{text}");
        assert!(text.contains(told) && text.starts_with(&file.display().to_string()), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    assert_eq!(TlsConfig::builder().build().unwrap_err().fault(), &TlsFault::NothingNamed);
}

#[tokio::test]
async fn certificates_from_elsewhere_take_the_place_of_those() {
    within(async {
        let world = World::new();
        let build = |name: &str| {
            let own = files(&world.folder, name, &world.authority.sign(NAME));
            TlsConfig::builder().pem_files(&own.0, &own.1).build().unwrap()
        };
        let (tls, other) = (build("first"), build("second"));
        let server = start_implicit(Server::builder(Noting::new()).tls(tls.clone())).await;
        let before = shown(server.address, &world, NAME).await.unwrap();
        tls.replace(&other);
        let replaced = shown(server.address, &world, NAME).await.unwrap();
        assert_ne!(before, replaced);
        // And what is read again is read from there.
        let newer = world.authority.sign(NAME);
        files(&world.folder, "second", &newer);
        tls.reload().unwrap();
        assert_ne!(shown(server.address, &world, NAME).await.unwrap(), replaced);
    })
    .await;
}
