"""The forms of a stored secret: read, verified, refused and made."""

from __future__ import annotations

import hmac
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from unittest import skipIf

from argon2 import PasswordHasher
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.net.hashes import (
    Argon2id,
    Kind,
    MosquittoPbkdf2,
    MosquittoSha512,
    Scrypt,
    hash_password,
    parse_hash,
    unusable_hash,
    usual_kind,
    verify_password,
)
from tests.net.logins import (
    MOSQUITTO_6,
    MOSQUITTO_7,
    MOSQUITTO_7_EMPTY,
    MOSQUITTO_7_UTF_8,
    bare_base64,
    cheap_hash,
    run_python,
    temporary_folder,
)

SALT = bare_base64(bytes(16))
DIGEST = bare_base64(bytes(32))
SHA512_DIGEST = bare_base64(bytes(64))


def argon2id(m: int, t: int, p: int) -> str:
    return f"$argon2id$v=19$m={m},t={t},p={p}${SALT}${DIGEST}"


def scrypt(ln: int, r: int, p: int) -> str:
    return f"$scrypt$ln={ln},r={r},p={p}${SALT}${DIGEST}"


class KnownHashTests(SynchronousTestCase):
    """Hashes that other programs made."""

    def test_mosquitto_pbkdf2(self) -> None:
        """The `$7$` lines of a file of Mosquitto's verify, binary safe, an empty password included."""
        self.assertTrue(verify_password(MOSQUITTO_7, b"secret"))
        self.assertTrue(verify_password(MOSQUITTO_7_UTF_8, "ünï:x".encode()))
        self.assertTrue(verify_password(MOSQUITTO_7_EMPTY, b""))

    def test_mosquitto_sha512(self) -> None:
        """The `$6$` lines of a file of Mosquitto's verify."""
        self.assertTrue(verify_password(MOSQUITTO_6, b"secret"))

    def test_mosquitto_wrong_password(self) -> None:
        """A password that is not the one, a longer or a shorter one among them, does not verify."""
        for hashed in (MOSQUITTO_7, MOSQUITTO_6):
            for wrong in (b"", b"Secret", b"secre", b"secret\n", b"secret2"):
                self.assertFalse(verify_password(hashed, wrong), wrong)

    def test_scrypt_rfc_7914(self) -> None:
        """The third test vector of RFC 7914, section 12, comes out."""
        expected = bytes.fromhex(
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
            "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
        )
        hashed = Scrypt(b"SodiumChloride", expected, log_n=14, r=8, p=1)
        self.assertEqual(hashed.derive(b"pleaseletmein"), expected)

    def test_scrypt_phc_string_of_another_maker(self) -> None:
        """A PHC string made with hashlib alone verifies, and no other password does."""
        self.assertTrue(verify_password(cheap_hash(b"secret"), b"secret"))
        self.assertFalse(verify_password(cheap_hash(b"secret"), b"Secret"))

    def test_argon2id_of_argon2_cffi(self) -> None:
        """What argon2-cffi's own front writes verifies here."""
        hashed = PasswordHasher(time_cost=2, memory_cost=64, parallelism=2).hash(b"secret")
        self.assertTrue(verify_password(hashed, b"secret"))
        self.assertFalse(verify_password(hashed, b"Secret"))

    @skipIf(shutil.which("mosquitto_passwd") is None, "mosquitto_passwd is not installed")
    def test_mosquitto_passwd_itself(self) -> None:
        """A file that the installed mosquitto_passwd just made verifies, in both of its hashes."""
        for form in ("sha512-pbkdf2", "sha512"):
            path = temporary_folder(self) / "passwd"
            command = ["mosquitto_passwd", "-H", form, "-b", "-c", str(path), "alice", "open sesame"]
            subprocess.run(command, check=True, capture_output=True)
            user, _, hashed = path.read_text("utf-8").strip().partition(":")
            self.assertEqual(user, "alice")
            self.assertTrue(verify_password(hashed, b"open sesame"), form)
            self.assertFalse(verify_password(hashed, b"open sesam"), form)


class ParseTests(SynchronousTestCase):
    """From text to a `PasswordHash`."""

    def test_forms(self) -> None:
        """Each identifier gives its class with the numbers of the text."""
        salt, digest, sha512 = bytes(16), bytes(32), bytes(64)
        for text, expected in (
            (argon2id(64, 3, 2), Argon2id(salt, digest, memory=64, passes=3, lanes=2)),
            (scrypt(10, 8, 2), Scrypt(salt, digest, log_n=10, r=8, p=2)),
            (f"$7$101${SALT}${SHA512_DIGEST}", MosquittoPbkdf2(salt, sha512, iterations=101)),
            (f"$6${SALT}${SHA512_DIGEST}", MosquittoSha512(salt, sha512)),
        ):
            self.assertEqual(parse_hash(text), expected)

    def test_padding_is_free(self) -> None:
        """Base64 is read with its padding and without it."""
        padded = f"$6${SALT}==${SHA512_DIGEST}=="
        self.assertEqual(parse_hash(padded), parse_hash(f"$6${SALT}${SHA512_DIGEST}"))

    def test_costs_lead_the_text(self) -> None:
        """`costs` is the text before the salt, so two hashes with the same costs cost the same."""
        for text in (argon2id(64, 3, 2), scrypt(10, 8, 2), MOSQUITTO_7, MOSQUITTO_6):
            self.assertTrue(text.startswith(parse_hash(text).costs + "$"), text)

    def test_unknown_forms(self) -> None:
        """What is not one of the four forms is refused, a plain password and weaker argon2s among it."""
        for text in (
            "",
            "secret",
            "$",
            "$$$",
            "$1$abc$def",
            "$2b$12$abcdefghijklmnopqrstuv",
            "$argon2i$v=19$m=64,t=3,p=2$" + SALT + "$" + DIGEST,
            "$argon2d$v=19$m=64,t=3,p=2$" + SALT + "$" + DIGEST,
            "$SCRYPT$ln=10,r=8,p=2$" + SALT + "$" + DIGEST,
            " " + scrypt(10, 8, 2),
        ):
            with self.assertRaisesRegex(ValueError, "not a password hash of the form"):
                parse_hash(text)

    def test_damaged_forms(self) -> None:
        """A known form with a part missing, added, out of order or misspelt is refused."""
        good = scrypt(10, 8, 2)
        for text in (
            "$scrypt$",
            good.rpartition("$")[0],
            good + "$",
            good + "$" + DIGEST,
            good + " ",
            good + "\n",
            good.replace("ln=10,", ""),
            good.replace("ln=10,r=8", "r=8,ln=10"),
            good.replace("ln=10", "ln=-1"),
            good.replace("ln=10", "ln=1e1"),
            good.replace("ln=10", "ln=\u0661\u0660"),
            good.replace("ln=10", "ln=" + "9" * 11),
            good.replace("A", "_"),
            argon2id(64, 3, 2).replace("v=19", "v=16"),
            argon2id(64, 3, 2).replace("$v=19", ""),
            f"$7${SALT}${SHA512_DIGEST}",
            f"$7$$101${SALT}${SHA512_DIGEST}",
            f"$6$101${SALT}${SHA512_DIGEST}",
        ):
            with self.assertRaisesRegex(ValueError, r"^damaged \$\w+\$ hash$"):
                parse_hash(text)

    def test_broken_base64(self) -> None:
        """A length that base64 can't have is refused."""
        with self.assertRaises(ValueError):
            parse_hash(f"$6$AAAAAAAAAAAAA${SHA512_DIGEST}")

    def test_a_hash_is_never_quoted(self) -> None:
        """No error's text holds what stood in the place of the hash: it may be the plain password."""
        for text in ("sesame", "$sesame", "$sesame$", "$7$sesame", "$6$sesame$sesame", "$scrypt$sesame"):
            error = self.assertRaises(ValueError, parse_hash, text)
            self.assertNotIn("sesame", str(error))

    def test_repr_hides_the_secret(self) -> None:
        """Salt and digest don't show in a repr, which may end in a log."""
        self.assertEqual(repr(parse_hash(scrypt(10, 8, 2))), "Scrypt(log_n=10, r=8, p=2)")


class LimitTests(SynchronousTestCase):
    """Costs and lengths out of range are refused when the hash is read."""

    def check(self, allowed: list[str], refused: list[tuple[str, str]]) -> None:
        for text in allowed:
            parse_hash(text)
        for text, why in refused:
            with self.assertRaisesRegex(ValueError, re.escape(why)):
                parse_hash(text)

    def test_argon2id(self) -> None:
        """At most 256 MiB, 16 passes, 16 lanes; at least 8 KiB for each lane."""
        self.check(
            [argon2id(262144, 16, 16), argon2id(8, 1, 1), argon2id(128, 1, 16)],
            [
                (argon2id(262145, 1, 1), "m must be"),
                (argon2id(9999999999, 1, 1), "m must be"),
                (argon2id(7, 1, 1), "m must be"),
                (argon2id(127, 1, 16), "m must be"),
                (argon2id(0, 1, 1), "m must be"),
                (argon2id(64, 17, 1), "t must be 1 to 16"),
                (argon2id(64, 0, 1), "t must be 1 to 16"),
                (argon2id(262144, 1, 17), "p must be 1 to 16"),
                (argon2id(64, 1, 0), "p must be 1 to 16"),
            ],
        )

    def test_scrypt(self) -> None:
        """At most 256 MiB, p of 16; and N below 2 to the power of 16 r, as RFC 7914 demands."""
        self.check(
            [scrypt(18, 8, 1), scrypt(16, 32, 16), scrypt(1, 1, 1), scrypt(15, 1, 1)],
            [
                (scrypt(19, 8, 1), "over 268435456 bytes"),
                (scrypt(17, 32, 1), "over 268435456 bytes"),
                (scrypt(25, 2, 1), "ln must be"),
                (scrypt(9999999999, 8, 1), "ln must be"),
                (scrypt(0, 8, 1), "ln must be"),
                (scrypt(16, 1, 1), "ln must be"),
                (scrypt(10, 33, 1), "r must be 1 to 32"),
                (scrypt(10, 0, 1), "r must be 1 to 32"),
                (scrypt(10, 8, 17), "p must be 1 to 16"),
                (scrypt(10, 8, 0), "p must be 1 to 16"),
            ],
        )

    def test_the_dearest_scrypt_runs(self) -> None:
        """What the limits allow is what the library does: its own memory limit is never in the way."""
        small = Scrypt(bytes(8), bytes(16), log_n=1, r=32, p=16)
        self.assertEqual(len(small.derive(b"secret")), 16)

    def test_mosquitto(self) -> None:
        """PBKDF2 has 1 to 5,000,000 iterations; both forms have a digest of SHA-512's length."""
        self.check(
            [f"$7$1${SALT}${SHA512_DIGEST}", f"$7$5000000${SALT}${SHA512_DIGEST}"],
            [
                (f"$7$0${SALT}${SHA512_DIGEST}", "iterations must be 1 to 5000000"),
                (f"$7$5000001${SALT}${SHA512_DIGEST}", "iterations must be 1 to 5000000"),
                (f"$7$101${SALT}${DIGEST}", "digest must have 64 bytes"),
                (f"$6${SALT}${DIGEST}", "digest must have 64 bytes"),
            ],
        )

    def test_lengths(self) -> None:
        """A salt has 8 to 128 bytes and a digest 16 to 128: no hash that many passwords meet."""
        scrypt_start = "$scrypt$ln=1,r=8,p=1"
        self.check(
            [
                f"{scrypt_start}${bare_base64(bytes(8))}${bare_base64(bytes(16))}",
                f"{scrypt_start}${bare_base64(bytes(128))}${bare_base64(bytes(128))}",
            ],
            [
                (f"{scrypt_start}${bare_base64(bytes(7))}${DIGEST}", "salt must have 8 to 128 bytes"),
                (f"{scrypt_start}${bare_base64(bytes(129))}${DIGEST}", "salt must have 8 to 128 bytes"),
                (f"{scrypt_start}${SALT}${bare_base64(bytes(15))}", "digest must have 16 to 128 bytes"),
                (f"{scrypt_start}${SALT}${bare_base64(bytes(129))}", "digest must have 16 to 128 bytes"),
            ],
        )


class MakeTests(SynchronousTestCase):
    """New hashes and decoys."""

    def without_argon2(self) -> None:
        self.patch(sys, "modules", {**sys.modules, "argon2.low_level": None})

    def test_both_kinds_verify(self) -> None:
        """What is made of a password verifies it and no other, whatever bytes it has."""
        kinds: tuple[tuple[Kind, str], ...] = (
            ("argon2id", "$argon2id$v=19$m=19456,t=2,p=1$"),
            ("scrypt", "$scrypt$ln=15,r=8,p=3$"),
        )
        for kind, start in kinds:
            hashed = hash_password(b"\xff\0:\n", kind)
            self.assertTrue(hashed.startswith(start), hashed)
            self.assertTrue(verify_password(hashed, b"\xff\0:\n"))
            self.assertFalse(verify_password(hashed, b"\xff\0:"))

    def test_one_line_of_ascii(self) -> None:
        """A hash fits a line of the file: ASCII, no ':', no blank, no padding."""
        self.assertRegex(hash_password(b"secret"), r"\A[A-Za-z0-9+/$,=]+[A-Za-z0-9+/]\Z")

    def test_argon2_cffi_reads_ours(self) -> None:
        """argon2-cffi's own front verifies what is made here."""
        self.assertTrue(PasswordHasher().verify(hash_password(b"secret", "argon2id"), b"secret"))

    def test_every_hash_has_its_salt(self) -> None:
        """Two hashes of one password differ."""
        self.assertNotEqual(hash_password(b"secret"), hash_password(b"secret"))

    def test_usual_kind(self) -> None:
        """argon2id where argon2-cffi is installed, scrypt where it is not."""
        self.assertEqual(usual_kind(), "argon2id")
        self.assertIsInstance(unusable_hash(), Argon2id)
        self.without_argon2()
        self.assertEqual(usual_kind(), "scrypt")
        self.assertIsInstance(unusable_hash(), Scrypt)
        self.assertTrue(hash_password(b"secret").startswith("$scrypt$"))

    def test_argon2id_without_the_library(self) -> None:
        """Without argon2-cffi, an argon2id hash is neither read nor made, and the error says what to do."""
        self.without_argon2()
        with self.assertRaisesRegex(ValueError, r"pip install mqttwist\[argon2\]"):
            parse_hash(argon2id(64, 3, 2))
        with self.assertRaisesRegex(ValueError, r"pip install mqttwist\[argon2\]"):
            hash_password(b"secret", "argon2id")

    def test_decoy(self) -> None:
        """A decoy has the costs and lengths of its model, and neither its salt nor its password."""
        for text in (MOSQUITTO_7, MOSQUITTO_6, cheap_hash(b"secret")):
            model = parse_hash(text)
            decoy = model.decoy()
            self.assertEqual(replace(decoy, salt=model.salt, digest=model.digest), model)
            self.assertEqual(len(decoy.salt), len(model.salt))
            self.assertNotEqual(decoy.salt, model.salt)
            self.assertNotEqual(decoy.digest, model.digest)
            self.assertFalse(decoy.verify(b"secret"))

    def test_unusable_hashes_differ(self) -> None:
        """Unusable hashes are drawn by chance, so nobody can know a password for one."""
        one, other = unusable_hash("scrypt"), unusable_hash("scrypt")
        self.assertNotEqual((one.salt, one.digest), (other.salt, other.digest))

    def test_comparison_in_constant_time(self) -> None:
        """Digests are compared by `hmac.compare_digest`."""
        seen: list[tuple[bytes, bytes]] = []

        def compare(one: bytes, other: bytes) -> bool:
            seen.append((one, other))
            return True

        self.patch(hmac, "compare_digest", compare)
        hashed = parse_hash(MOSQUITTO_6)
        self.assertTrue(hashed.verify(b"wrong"))
        self.assertEqual(seen, [(hashed.derive(b"wrong"), hashed.digest)])

    def test_no_twisted(self) -> None:
        """The module is usable without Twisted."""
        code = "import sys, mqttwist.net.hashes; sys.exit('twisted' in sys.modules)"
        self.assertEqual(run_python("-c", code).returncode, 0)
