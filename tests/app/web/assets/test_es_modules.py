"""ES modules joined into one."""

import shutil
import subprocess

import pytest

from app.web.assets import bundles, es_modules
from tests import ROOT

NODE = shutil.which("node")


@pytest.fixture
def joined(tmp_path):
    """A function from the sources of modules to the one of the first."""

    def join(first, **others):
        for name, source in {"first": first, **others}.items():
            (tmp_path / f"{name}.js").write_text(source, encoding="utf-8")
        return es_modules.join(tmp_path, ["first.js"])

    return join


def test_comments_on_own_lines_are_left_out(joined):
    text = joined('// Why.\nexport const link = "https://a.b"; // kept\n  // Indented.\n')

    assert 'const link = "https://a.b"; // kept\n' in text
    assert "Why" not in text
    assert "Indented" not in text


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_joined_modules_run_as_if_imported(joined):
    text = joined(
        'import "./side.js";\nimport { one, Two as Zwei } from "./other.js";\n'
        "const three = 3;\nconsole.log(one(), new Zwei().value, three, four);\n"
        'import {\n  four,\n} from "./other.js";\n',
        side='import { one } from "./other.js";\nconsole.log("side", one());\n',
        other="const three = 0;\nexport function one() {\n  return 1 + three;\n}\n"
        "export class Two {\n  value = 2;\n}\nconst four = 4;\nexport { four, three };\n",
    )

    ran = subprocess.run(
        [NODE, "--input-type=module"], input=text, capture_output=True, text=True, check=False
    )

    assert (ran.stdout, ran.stderr) == ("side 1\n1 2 3 4\n", "")


def test_module_is_joined_once(joined):
    text = joined(
        'import "./a.js";\nimport "./b.js";\n',
        a='import "./b.js";\n',
        b="export const unique = 1;\n",
    )

    assert text.count("const unique = 1;") == 1


@pytest.mark.parametrize(
    "line",
    [
        'import all from "./other.js";',
        'import * as all from "./other.js";',
        'import { one } from "https://elsewhere.example/other.js";',
        'export { one } from "./other.js";',
        "export default one;",
        "export let one = 1;",
        'const { one } = await import("./other.js");',
        "console.log(import.meta.url);",
    ],
)
def test_other_import_forms_are_rejected(joined, line):
    with pytest.raises(ValueError, match=r"first\.js: no supported form of import or export: "):
        joined(f"{line}\n", other="export const one = 1;\n")


def test_import_of_no_export_is_rejected(joined):
    with pytest.raises(ValueError, match=r"first\.js: other\.js does not export two"):
        joined('import { one, two as zwei } from "./other.js";\n', other="export const one = 1;\n")


def test_cycle_of_imports_is_rejected(joined):
    with pytest.raises(ValueError, match=r"first\.js imports itself through other modules"):
        joined('import "./other.js";\n', other='import "./first.js";\n')


def test_every_module_is_in_a_bundle():
    text = "".join(es_modules.join(ROOT / "static", each) for each in bundles.MODULES.values())
    files = {path.name for path in (ROOT / "static").glob("*.js")}

    assert {file for file in files if f"const ${file[:-3]} = " not in text} == {"theme.js"}
