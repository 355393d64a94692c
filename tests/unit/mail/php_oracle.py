"""The real PHP: what does it write, and what does it read? One process for a whole list of questions."""

from __future__ import annotations

import base64
import json
import os
import struct
import subprocess
from typing import Any

import pytest

from ...conftest import need

_READ = """
set_error_handler(fn() => true);
foreach (json_decode(stream_get_contents(STDIN)) as $text) {
    $text = base64_decode($text);
    try { $value = unserialize($text, ["allowed_classes" => false]); } catch (Throwable $e) { $value = false; }
    $accepted = $value !== false || str_starts_with($text, "b:0;");
    $answers[] = [$accepted, $accepted && is_scalar($value) ? base64_encode((string)$value) : null];
}
echo json_encode($answers ?? []);
"""

_WRITE = """
function from($value) { // {"bytes": …}, {"float": …} or {"array": [[key, value], …]}; the rest as it is
    if (!is_object($value)) return $value;
    if (isset($value->bytes)) return base64_decode($value->bytes);
    if (isset($value->float)) return unserialize("d:" . $value->float . ";");
    foreach ($value->array as [$key, $item]) $result[from($key)] = from($item);
    return $result ?? [];
}
foreach (json_decode(stream_get_contents(STDIN)) as $value) {
    $value = from($value);
    $texts[] = [base64_encode(serialize($value)), is_array($value) ? null : base64_encode((string)$value)];
}
echo json_encode($texts ?? []);
"""


def _php(program: str, questions: list[Any]) -> list[Any]:
    command = [need("php"), "-n", "-d", "memory_limit=512M", "-r", program]
    result = subprocess.run(command, input=json.dumps(questions).encode(), capture_output=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    answers: list[Any] = json.loads(result.stdout)
    assert len(answers) == len(questions)
    return answers


def reads(texts: list[bytes]) -> list[tuple[bool, bytes | None]]:
    """For each text: does `unserialize()` accept it, and the value cast to a string if that is a scalar."""
    answers = _php(_READ, [base64.b64encode(text).decode() for text in texts])
    return [(accepted, None if cast is None else base64.b64decode(cast)) for accepted, cast in answers]


def writes(values: list[Any]) -> list[tuple[bytes, bytes | None]]:
    """For each value: what `serialize()` makes of it, and its cast to a string unless it is an array."""
    answers = _php(_WRITE, [_question(value) for value in values])
    return [(base64.b64decode(text), None if cast is None else base64.b64decode(cast)) for text, cast in answers]


def _question(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, float):
        return {"float": repr(value).upper()}
    if isinstance(value, dict):
        return {"array": [[_question(key), _question(item)] for key, item in value.items()]}
    return value


_TELL = """
ini_set("memory_limit", "1G");
set_error_handler(fn() => true);
$wanted = array_flip(json_decode(fgets(STDIN)));
function told($value, $wanted, $levels) {
    switch (true) {
        case is_null($value): return "N";
        case is_bool($value): return $value ? "b1" : "b0";
        case is_int($value): return "i$value";
        case is_float($value): return is_nan($value) ? "dNAN" : "d" . bin2hex(pack("E", $value));
        case is_string($value): return "s" . bin2hex($value);
        case is_array($value) && $levels:
            foreach ($value as $key => $item)
                if ($wanted === null || isset($wanted[$key]) && !is_int($key))
                    $items[] = told($key, null, 0) . "=" . told($item, null, $levels - 1);
            return "a(" . implode(",", $items ?? []) . ")";
    }
    return "opaque";
}
while (($line = fgets(STDIN)) !== false) {
    $text = base64_decode($line);
    try { $value = unserialize($text, ["allowed_classes" => false]); } catch (Throwable $e) { $value = false; }
    $accepted = $value !== false || str_starts_with($text, "b:0;");
    echo $accepted ? told($value, $wanted, 2) : "no", "\\n";
}
"""


def tells(texts: list[bytes], wanted: list[bytes]) -> list[str]:
    """For each text the value that `unserialize()` reads: of an array the wanted keys, two levels deep; or "no"."""
    lines = [json.dumps([name.decode() for name in wanted]).encode(), *map(base64.b64encode, texts)]
    command = [need("php"), "-n", "-r", _TELL]
    result = subprocess.run(
        command, input=b"".join(line + b"\n" for line in lines), capture_output=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stdout[-500:] + result.stderr
    answers = result.stdout.decode().splitlines()
    assert len(answers) == len(texts)
    return answers


_PACK = """
function shown($value) {
    if (is_array($value)) {
        foreach ($value as $key => $item) $items[] = shown($key) . ": " . shown($item);
        return "{" . implode(", ", $items ?? []) . "}";
    }
    if (is_string($value)) return "x" . bin2hex($value);
    if (is_float($value)) return "d" . bin2hex(pack("E", $value));
    return is_null($value) ? "None" : (is_bool($value) ? ($value ? "True" : "False") : (string)$value);
}
while (($line = fgets(STDIN)) !== false) {
    $line = base64_decode($line);
    unset($v, $x, $y, $to, $t, $n, $i, $f, $e);
    if (str_starts_with($line, "$")) eval($line); else $v = unserialize($line);
    echo base64_encode(shown($v)), " ", base64_encode($argv[1]($v)), "\\n";
}
"""


def packs(texts: list[bytes], function: str) -> list[tuple[str, bytes]]:
    """For each text of `serialize()`, or code that sets `$v`: the value as `shown` shows it, and what is packed."""
    known = subprocess.run([need("php"), "-r", f"exit(!function_exists('{function}'));"], check=False)
    if known.returncode:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing(f"this PHP has no {function}()")
    command = ["php", "-r", _PACK, "--", function]
    lines = b"".join(base64.b64encode(text) + b"\n" for text in texts)
    result = subprocess.run(command, input=lines, capture_output=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout[-500:] + result.stderr
    pairs = [line.split() for line in result.stdout.splitlines()]
    return [(base64.b64decode(text).decode(), base64.b64decode(packed)) for text, packed in pairs]


def shown(value: Any) -> str:
    """As `packs` shows what PHP has."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{shown(key)}: {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, bytes):
        return "x" + value.hex()
    return "d" + struct.pack(">d", value).hex() if isinstance(value, float) else str(value)
