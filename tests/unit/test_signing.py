"""Signed links: they open what they were signed for, until they end."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.signing import Signer
from gateway.tenants import KeysError

ONE, TWO = b"1" * 32, b"2" * 32
ID = "ab" * 32
NOW = 1_790_000_000.4


def signed(signer: Signer, tenant: str = "acme", result_id: str = ID, now: float = NOW) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(signer.query(tenant, result_id, now)).items()}


def accepts(signer: Signer, now: float = NOW, result_id: str = ID, **query: str) -> bool:
    return signer.accepts(query["tenant"], result_id, query["expires"], query["signature"], now)


def test_a_link_holds_until_the_second_it_names():
    signer = Signer((ONE,), 900)
    query = signed(signer)
    assert query["expires"] == str(int(NOW) + 900)
    assert accepts(signer, **query)
    assert accepts(signer, now=int(NOW) + 899.9, **query)
    assert not accepts(signer, now=int(NOW) + 900, **query)


@given(st.sampled_from(["tenant", "expires", "signature", "id"]), st.data())
def test_nothing_of_it_can_be_changed(name, data):
    signer = Signer((ONE,), 900)
    query = {**signed(signer), "id": ID}
    at = data.draw(st.integers(0, len(query[name]) - 1))
    character = data.draw(st.sampled_from("0123456789abcdef").filter(lambda other: other != query[name][at]))
    query[name] = query[name][:at] + character + query[name][at + 1 :]
    assert not accepts(signer, result_id=query.pop("id"), **query)


@pytest.mark.parametrize("expires", ["", "-1", "+1790000900", " 1790000900", "1790000900.0", "٣", "9" * 40, "0"])
def test_an_expiry_in_another_spelling_is_refused(expires):
    signer = Signer((ONE,), 900)
    assert not accepts(signer, **{**signed(signer), "expires": expires})


def test_a_new_key_signs_while_links_of_the_old_one_still_hold():
    old, both, new = Signer((ONE,), 900), Signer((TWO, ONE), 900), Signer((TWO,), 900)
    assert accepts(both, **signed(old))
    assert accepts(new, **signed(both))
    assert not accepts(new, **signed(old))


def test_the_file_has_a_key_a_line(tmp_path):
    path = tmp_path / "signing"
    path.write_text(f"{TWO.hex()}\n{ONE.hex()}\n")
    signer = Signer.from_file(path, 900)
    assert signed(signer) == signed(Signer((TWO,), 900))
    assert accepts(signer, **signed(Signer((ONE,), 900)))


@pytest.mark.parametrize("contents", ["", "secret", "AB" * 32, "ab" * 31, f"{'ab' * 32}\nsecret"])
def test_a_file_that_is_wrong_is_refused_without_quoting_it(tmp_path, contents):
    path = tmp_path / "signing"
    path.write_text(contents)
    with pytest.raises(KeysError) as refused:
        Signer.from_file(path, 900)
    assert "secret" not in str(refused.value)


def test_the_signature_is_frozen():
    """The edge computes the same (infra/nginx/js/keys.js)."""
    message = f"ocr-lookup-1\nacme\n{ID}\n1790000900\n".encode()
    assert signed(Signer((ONE,), 900))["signature"] == hmac.new(ONE, message, hashlib.sha256).hexdigest()
    assert (
        signed(Signer((ONE,), 900))["signature"] == "df2d0b9a3da5e6e264b52fd9d9b334fac53c6ab10c891fba0ab99ee3ebad9893"
    )
