"""Which XML documents a browser only shows."""

from typing import Final

import pytest

from dicomfs.documents.passive import is_passive

HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
ROOT: Final = '<ClinicalDocument xmlns="urn:hl7-org:v3"'
XSI: Final = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
SCRIPT: Final = "<s:script>alert(1)</s:script>"
XHTML: Final = "http://www.w3.org/1999/xhtml"


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}{ROOT}{XSI}><title>Entlassung am 3. &amp; 4.</title></ClinicalDocument>",
        f'{HEAD}<?xml-stylesheet type="text/xsl" href="CDA.xsl"?>\n{ROOT}/>',
        f"{HEAD}<!-- by nobody -->\n{ROOT}/>",
        '<cda:ClinicalDocument xmlns:cda="urn:hl7-org:v3"/>',
        "\ufeff" + HEAD + ROOT + "/>",
    ],
)
def test_a_clinical_document_is_passive(text: str) -> None:
    assert is_passive(text.encode())


def test_so_is_one_in_another_encoding() -> None:
    text = f"{ROOT}><title>Müller</title></ClinicalDocument>"

    assert is_passive(f'<?xml version="1.0" encoding="ISO-8859-1"?>{text}'.encode("l1"))
    assert is_passive(f'<?xml version="1.0" encoding="UTF-16"?>{text}'.encode("utf-16"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no XML",
        f'<html xmlns="{XHTML}"><script>alert(1)</script></html>',
        f'{ROOT} xmlns:s="{XHTML}">{SCRIPT}</ClinicalDocument>',
        f"{ROOT} xmlns:s='{XHTML}'>{SCRIPT}</ClinicalDocument>",
        f'{ROOT} a="xmlns=" xmlns:s="{XHTML}">{SCRIPT}</ClinicalDocument>',
        f'{ROOT} xmlns:s\n=\n"{XHTML}">{SCRIPT}</ClinicalDocument>',
        f'{ROOT} xmlns:s="http://www.w3.org/1999/&#120;html">{SCRIPT}</ClinicalDocument>',
        f'{ROOT} a="xmlns=" xmlns:s="http://www.w3.org/1999/&#120;html">{SCRIPT}',
        f'{ROOT} xmlns:s="http://www.w3.org/2000/svg">{SCRIPT}</ClinicalDocument>',
        f'<!DOCTYPE x [<!ENTITY h "{XHTML}">]>{ROOT} xmlns:s="&h;"/>',
        f'<?xml-stylesheet type="text/xsl" href="http://example.org/x.xsl"?>{ROOT}/>',
        f'<?xml-stylesheet type="text/xsl" href="#me"?>{ROOT}/>',
        f'<?xml-stylesheet a=\'href="x"\' href="data:text/xsl,x"?>{ROOT}/>',
        f'<?xml version="1.0" encoding="UTF-7"?>{ROOT}/>',
        f'<?xml version="1.0" encoding="ISO-2022-JP"?>{ROOT}/>',
    ],
)
def test_what_a_browser_might_act_upon_is_not(text: str) -> None:
    assert not is_passive(text.encode())


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32", "utf-7"])
def test_markup_in_hiding_is_not(codec: str) -> None:
    text = f'{ROOT} xmlns:s="{XHTML}">{SCRIPT}</ClinicalDocument>'

    assert not is_passive(text.encode(codec))


@pytest.mark.parametrize(
    "hidden", ["<?", "<!--", "<?xml ", "<!-- -->" * 999, " " * 9999]
)
def test_what_has_no_end_costs_itself(hidden: str) -> None:
    assert not is_passive((hidden * 100).encode())
