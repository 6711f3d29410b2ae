//! `tls-server-end-point` of certificates that OpenSSL made, with the hashes that `openssl dgst` gives.

use ehlo_sasl::{base64, server_end_point};

struct Case {
    name: &'static str,
    certificate: &'static str,
    /// In hexadecimal digits, or `None` where RFC 5929 defines no binding.
    expected: Option<&'static str>,
}

const CASES: &[Case] = &[
    Case {
        name: "rsa_sha1",
        certificate: "MIIBnDCCAQUCFAO7A3ANZRxHt38AvXARkJDiBYY9MA0GCSqGSIb3DQEBBQUAMAwxCjAIBgNVBAMMAWEwIBcNMjYxMTIzMTgyMjUw\
                      WhgPMjEyNjEwMzAxODIyNTBaMAwxCjAIBgNVBAMMAWEwgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGBAMoqTigyex5KmGguPiXy\
                      W+mmo2wD3eL4addTFcKSaTbLs5jy/JAwA6K1b5xeXHsAQxfiSNrPQz43+Ui0DssmSL/e1nwOlaDXmchR1oHIh2fiMuC/h1QnUnpv\
                      4MO6tQiW+WjWY1Q7q1YfnDCzelaP+lVKIbgNT2deAcfQ8wMo6dVdAgMBAAEwDQYJKoZIhvcNAQEFBQADgYEAdB2N0HlMFIbQ4l08\
                      pysTImip4wbD6fA9rYXIsmD+9+SjoiNZBA/8kSMqHx+u0jTFdj6UbQD3tZ3fXszLCzXY6d3Vw+zI+OPDdq5zuuvnTMUImE1eGQwk\
                      zCW8vpwyXsCUUm2ePhXjHate41tgxaCc43yCdgd3jB1g0ZvfxFCdtvE=",
        expected: Some("7d472869ad7ede57045049ab98b4c98e20ef0742ef46f1a0a5ae7972a9ca3762"),
    },
    Case {
        name: "rsa_sha256",
        certificate: "MIIBnDCCAQUCFDgK4SrZx5bMCUp3gTJo4S3HjTOLMA0GCSqGSIb3DQEBCwUAMAwxCjAIBgNVBAMMAWEwIBcNMjYxMTIzMTgyMjUw\
                      WhgPMjEyNjEwMzAxODIyNTBaMAwxCjAIBgNVBAMMAWEwgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGBAN7F65N9Y3SkBtVv9dTZ\
                      OouNau1vmdE+SpWCrhEj39rQ8XRPTLRcqEqHE96RWOHpnio7UKaoSgqx0fpkIQFV7fzositqAcBcqt1UY1sLnCtSc7KK37BBYC6y\
                      jw9U5xp0OXduB975D3mp13gDu5TYJFM1fqAe1nrxaVSWH0M2JXY7AgMBAAEwDQYJKoZIhvcNAQELBQADgYEAT/wFrwchwBwGjP8h\
                      P2P94OKzEk6Z8zNim486LvHKWAThLJb0g+yi7xSE0lqHsntVfj2Yr7ZayfZi/TbJ/jjG/9l3QK16+PmTYPv1ENy/0zmOnBUvPhg+\
                      5KsHq29T8xaxDAwEhoh4MxLqWAmowEgJUed6DCoOsM+40hmdOwzTdRI=",
        expected: Some("6b830efc749a5cc597d3c5dde86b63718a77ab1f3e225216bb0ec2e5be868623"),
    },
    Case {
        name: "rsa_sha512",
        certificate: "MIIBnDCCAQUCFCaOcjxxTeaijhkQcgxrmma6aEHDMA0GCSqGSIb3DQEBDQUAMAwxCjAIBgNVBAMMAWEwIBcNMjYxMTIzMTgyMjUw\
                      WhgPMjEyNjEwMzAxODIyNTBaMAwxCjAIBgNVBAMMAWEwgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGBAM8c78F+eAK83i1dXQ/N\
                      lqFS0kZjJFOnQVWG2LSkO8uB1YQIjWxYUz5uSaGE3cfxiVBYebBAkDfOaBeHTcDhPst+3KyrAtLQ3Ds7GlqLO6Ds69cHzt+/sfS4\
                      jR8vi1CnMLyURSpMB+Ax89huPIfquSiO4ZEzCj08slWs6sENFN0lAgMBAAEwDQYJKoZIhvcNAQENBQADgYEAVeeSxS8un68Y5Ifj\
                      kTE53Hdt+8YfmxKOOLNKORoKzhm15D6IKeW/jQ/VmGkwvo+2o9BRGTunfTI+yK6JyPHEPeys5/ibEdOQQjbMyrR+gwpUOaTQJUFf\
                      brIJ1vXn8pD3ANb0ZYIXRP2fTXHUkY2zGPM0yl3X4l4VyDLuSLrLriU=",
        expected: Some(
            "293a46aff7a54fa6e69c2cf087353dad2f5a5d631e657e62c2e92a5b457246ade86dc9e4093e350e4a3cdaff8e0b953a18a1\
                      48477f6224451b6640eefc14e441",
        ),
    },
    Case {
        name: "ec_sha256",
        certificate: "MIIBFTCBuwIUZ7irEDW0r+NsXzGUNtglkWOmoeswCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBYTAgFw0yNjExMjMxODIyNTBaGA8y\
                      MTI2MTAzMDE4MjI1MFowDDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABO5vif/bTPQFJaq0uyan5uVEpFiN\
                      mNDkfBLJqaAM3K/eLpegD1BfTt0X/VEs3RwZ6srbWe72CP+lXWuYVRBfvfQwCgYIKoZIzj0EAwIDSQAwRgIhAL347+Ho4LiK1eYr\
                      e7OhfiSDYtakVxe26oWLqkVUy73UAiEA2aOr+hW5ElcsupGnU7vxJaaTJAM8Xl9Ui1j6c1V2gxg=",
        expected: Some("8bcce57af7d3dc24562b91e5d3390c170e0e549207f16c887e0bbc3dbf0e3c32"),
    },
    Case {
        name: "ec_sha384",
        certificate: "MIIBFDCBuwIUaWRNelHciO9R1BYAoXonXKwL04IwCgYIKoZIzj0EAwMwDDEKMAgGA1UEAwwBYTAgFw0yNjExMjMxODIyNTBaGA8y\
                      MTI2MTAzMDE4MjI1MFowDDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLqyEfUsiEJ4rKua4H+zBi9k0ni2\
                      2BWcq8irCLl6WDNOsOTLOxD/20XV2fSbWlI6Z7F1+sj2dTqtXQBzvUi+EdkwCgYIKoZIzj0EAwMDSAAwRQIhAOuXO2jqQGQnO9lB\
                      NipJMFBoW/Eb+qXNgdtMR3QShjz2AiB7tsY2H6xpilD2e7RqA91XHREnj8O4squzoCSeqzy1oA==",
        expected: Some(
            "992bd7ae8bb891266007e9e69ff697891b032873c1fbbc3aae1b99ada951a12c4da9492074f7a0f56afbc2d89a6ec49e",
        ),
    },
    Case {
        name: "ec_sha512",
        certificate: "MIIBFDCBuwIUBZpooWYutC8VDg6WwaWRbV6z+PkwCgYIKoZIzj0EAwQwDDEKMAgGA1UEAwwBYTAgFw0yNjExMjMxODIyNTBaGA8y\
                      MTI2MTAzMDE4MjI1MFowDDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJeCfSyc3WD0sygwuGJZRu9lcny0\
                      BTXll5FHOI7i3asWf/r4/8g8xYect2eUdwituN+ySsEEBEglh3SYjZFowpIwCgYIKoZIzj0EAwQDSAAwRQIhAMoyI8RXBgwATKRZ\
                      kBex1IDs8r3UCu28EXUPspuphm7qAiAVU453jbRKVzoiSqOZmd7V0pWxX1vrHXj00/DQyX5ibQ==",
        expected: Some(
            "332f508abb64a24904cdbbbf05e3b51be5fbd965598ae9d5d3af4fec8c0c936d39914272a332b4e32968061b5616ec3de209\
                      4c5fa95d32b72a25c8e974fddf4d",
        ),
    },
    Case {
        name: "pss_sha384",
        certificate: "MIICBDCCATkCFAJhFSv3t3LM6QqcWW6zqjb3jN9DMEEGCSqGSIb3DQEBCjA0oA8wDQYJYIZIAWUDBAICBQChHDAaBgkqhkiG9w0B\
                      AQgwDQYJYIZIAWUDBAICBQCiAwIBTjAMMQowCAYDVQQDDAFhMCAXDTI2MTEyMzE4MjI1MFoYDzIxMjYxMDMwMTgyMjUwWjAMMQow\
                      CAYDVQQDDAFhMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCwIHY0m915AgEbBAlFLEjYMWWXqr2CD+A/pIvn3vSQHQlKMus7\
                      yzS+ulbVBKs5kkQfNRcFicFJd4F5p7O39z49yWdDXxZGSSdEpttrNGlCw8W+f7lCb6xVPDmmIGahx1kDN3pD/EazC8MAT7Ux6p6T\
                      IHwMdQu/LqIFIOnMXXPOEQIDAQABMEEGCSqGSIb3DQEBCjA0oA8wDQYJYIZIAWUDBAICBQChHDAaBgkqhkiG9w0BAQgwDQYJYIZI\
                      AWUDBAICBQCiAwIBTgOBgQBAt0AHfaI28d0F9d/cTaQZ9FBrrb90Y974JHxXb5OuGm9fPF2Ti6WkHU8vrp3xTzrtShZqW1QWoFpP\
                      Xm0kri8ysb5BfVG4oEpClGyTWeZ0j2Wy+OT+oCK2zK8cx4j4e2tXOJAEaaMwxN9eNPoOJ7JfFEKASqp7PVol0eB+2Tufkw==",
        expected: Some(
            "b4286cedd585313580d574e2b742d43eb02a65ac62683250d2a98acc716afbaf59cd4e3d9ad740aa8457cbce1b698985",
        ),
    },
    Case {
        name: "ed25519",
        certificate: "MIHUMIGHAhQsd8uoUL0xCv9VFVrVy+BGGIiHLTAFBgMrZXAwDDEKMAgGA1UEAwwBYTAgFw0yNjExMjMxODIyNTBaGA8yMTI2MTAz\
                      MDE4MjI1MFowDDEKMAgGA1UEAwwBYTAqMAUGAytlcAMhAM4SAp6iNMe9bG/Qun6nwsPiBiZDTy9eBczsqKDpNxhSMAUGAytlcANB\
                      AG1jw8Vv3WUElvsg0uVXie0qD/vjgQsglH2Nh6aEvrgU9BwOt6SffQsxmaEpBYcRUFGX0p8+PE0JWKSUyJzfugQ=",
        expected: None,
    },
];

#[test]
fn the_hash_is_that_of_the_signature_and_sha256_for_weaker_ones() {
    for case in CASES {
        let certificate = base64::decode(case.certificate.as_bytes()).unwrap();
        let found = server_end_point(certificate.as_bytes());
        let found = found.map(|hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        assert_eq!(found.as_deref(), case.expected, "{}", case.name);
    }
}

#[test]
fn a_certificate_that_is_cut_or_has_something_behind_it_has_no_binding() {
    for case in CASES {
        let certificate = base64::decode(case.certificate.as_bytes()).unwrap();
        for end in 0..certificate.as_bytes().len() {
            assert_eq!(server_end_point(&certificate.as_bytes()[..end]), None, "{} cut at {end}", case.name);
        }
        let longer = [certificate.as_bytes(), b"x"].concat();
        assert_eq!(server_end_point(&longer), None, "{}", case.name);
    }
}

#[test]
fn a_certificate_with_any_byte_changed_never_panics() {
    for case in CASES {
        let certificate = base64::decode(case.certificate.as_bytes()).unwrap();
        for at in 0..certificate.as_bytes().len() {
            for value in [0x00, 0x7f, 0x80, 0x84, 0x85, 0xff] {
                let mut changed = certificate.as_bytes().to_vec();
                changed[at] = value;
                let hash = server_end_point(&changed);
                assert!(hash.is_none_or(|hash| [32, 48, 64].contains(&hash.len())));
            }
        }
    }
}
