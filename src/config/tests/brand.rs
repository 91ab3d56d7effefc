use super::*;

const NOT_A_PICTURE: &str = "The file is no picture. Name an SVG, PNG, JPEG or WebP file.";

/// The media type of a logo with this content, or the sentence that refuses it.
fn logo(content: &[u8]) -> Result<&'static str, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), content).unwrap();
    let path = file.path().display().to_string();
    let env = [("ENTRADA_BRAND__LOGO", path.as_str())];
    match load_file("brand.name = \"Contoso\"", pairs(&completed("", &env))) {
        Ok(config) => {
            let logo = config.brand.logo.unwrap();
            assert_eq!(logo.bytes, content);
            Ok(logo.media_type)
        }
        Err(lines) => {
            let [line] = lines.as_slice() else { panic!("{lines:#?}") };
            Err(line.strip_prefix("ENTRADA_BRAND__LOGO: ").unwrap().to_owned())
        }
    }
}

#[test]
fn a_logo_is_known_by_its_content() {
    let in_namespace = "xmlns=\"http://www.w3.org/2000/svg\"/>";
    let before = [
        "",
        "\u{feff}",
        "\n",
        "<!DOCTYPE svg [\n<!ENTITY ns \"http://www.w3.org/2000/svg\">\n]>",
        "<?xml version=\"1.0\"?>\n<!-- <svg> > -->\n<!DOCTYPE svg PUBLIC \"-//W3C\" \"x\">\n<!-- a > b -->",
    ];
    for before in before {
        assert_eq!(logo(format!("{before}<svg {in_namespace}").as_bytes()), Ok("image/svg+xml"), "{before}");
    }
    assert_eq!(logo(b"\x89PNG\r\n\x1a\n\0\0"), Ok("image/png"));
    assert_eq!(logo(b"\xff\xd8\xff\xe0\0\0"), Ok("image/jpeg"));
    assert_eq!(logo(b"RIFF\x10\0\0\0WEBPVP8 "), Ok("image/webp"));
}

#[test]
fn what_is_no_logo_is_refused_in_words() {
    let html = "<!doctype html><html><svg xmlns=\"http://www.w3.org/2000/svg\"/></html>";
    for content in ["", "<svgx xmlns=\"http://www.w3.org/2000/svg\"/>", html, "GIF89a", "RIFF\0\0\0\0WAVE"] {
        assert_eq!(logo(content.as_bytes()).unwrap_err(), NOT_A_PICTURE, "{content}");
    }
    assert_eq!(logo(b"<svg xmlns='http://www.w3.org/2000/svg'>\xff</svg>").unwrap_err(), NOT_A_PICTURE);
    let bare = logo(b"<svg viewBox=\"0 0 1 1\"/>").unwrap_err();
    assert!(bare.starts_with("Browsers show an SVG only in its namespace. Write xmlns="), "{bare}");
}

#[test]
fn a_logo_has_64_kib_at_most() {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.resize(64 * 1024, 0);
    assert_eq!(logo(&png), Ok("image/png"));
    png.push(0);
    let expected = "The file is larger than 64 KiB, and every page carries it. Name a smaller one.";
    assert_eq!(logo(&png).unwrap_err(), expected);
}

#[test]
fn a_logo_has_a_name_beside_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), b"\x89PNG\r\n\x1a\n").unwrap();
    let lines = problems(&format!("brand.logo = {:?}", file.path().display().to_string()), &[]);
    let expected = "entrada.toml: brand.logo: A logo says nothing to those who cannot see it. Write brand.name beside it.";
    assert_eq!(lines, [expected]);
}

#[test]
fn a_directory_is_no_logo() {
    let directory = tempfile::tempdir().unwrap();
    let toml = format!("brand = {{ name = \"C\", logo = {:?} }}", directory.path().display().to_string());
    let lines = problems(&toml, &[]);
    assert!(lines[0].contains("brand.logo: This is not a file."), "{lines:#?}");
}

#[test]
fn a_pipe_that_nobody_writes_to_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let lines = problems(&format!("brand.logo = {:?}", pipe.display().to_string()), &[]);
    assert!(lines[0].contains("brand.logo: This is not a file."), "{lines:#?}");
}
