"""Sphinx: Markdown pages, docstrings with single backticks, and examples that all run. No network."""

from __future__ import annotations

import doctest
import inspect
import operator
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from docutils import nodes
from docutils.parsers.rst import roles
from sphinx import addnodes
from sphinx.pycode import ModuleAnalyzer
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import stringify_signature

if TYPE_CHECKING:
    from docutils.parsers.rst.states import Inliner
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

HERE = Path(__file__).parent
os.environ["PYTHONPATH"] = str(HERE.parent / "src")  # for the notebook, whose kernel is another process
sys.path[:0] = [str(HERE.parent / "src"), str(HERE.parent / "tests"), str(HERE)]

from command_help import CommandHelp  # noqa: E402

import mlsssl  # noqa: E402
import mlsssl.aio  # noqa: E402
import mlsssl.bundles  # noqa: E402
import mlsssl.ccs  # noqa: E402
import mlsssl.netsh  # noqa: E402
import mlsssl.strategies  # noqa: E402
import mlsssl.testing  # noqa: E402
from example_output import ExampleChecker  # noqa: E402
from mlsssl._version import __version__  # noqa: E402

_PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]
REPOSITORY = _PROJECT["urls"]["Repository"]

project = "mlsssl"
author = "the mlsssl authors"
copyright = "the mlsssl authors, MIT licence"
release = version = __version__

extensions = [
    *("myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.doctest"),
    *("sphinx.ext.viewcode", "sphinx_copybutton"),
]
root_doc = "index"
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"mlsssl {release}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["mlsssl.css"]
html_theme_options = {
    "source_repository": REPOSITORY,  # "view this page" leads there
    "source_branch": "main",
    "source_directory": "docs/",
    "top_of_page_buttons": ["view"],
}
# What a button copies: of a session what was typed, without prompts and answers; of anything else all of it.
copybutton_prompt_text = r">>> |\.\.\. |\$ |PS> |C:\\> "
copybutton_prompt_is_regexp = True
copybutton_line_continuation_character = "\\"
nb_execution_mode = "force"  # the notebook is stored without outputs, and every build proves that it runs
nb_execution_raise_on_error = True
nb_execution_timeout = 120
smartquotes = False  # a typographic dash in a command line is one of the faults this library repairs

myst_enable_extensions = ["deflist", "attrs_block"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 90
default_role = "mlsssl"  # what a single backtick means in a docstring; see `_backtick`
nitpicky = True
# Names outside this project, for which there is no inventory without a network, and private types of ours.
nitpick_ignore_regex = [(r"py:(class|data|exc|obj)", r"(?!mlsssl\.[A-Z]).*")]

# Each page's examples run in a folder of their own, against an embedded machine of their own.
doctest_global_setup = """
import hypothesis as _hypothesis, os as _os, tempfile as _tempfile
_hypothesis.settings.register_profile("docs", deadline=None)  # a busy machine is no failing example
_hypothesis.settings.load_profile("docs")
_back, _folder = _os.getcwd(), _tempfile.TemporaryDirectory(prefix="mlsssl-docs-", ignore_cleanup_errors=True)
_os.chdir(_folder.name)
_os.environ["MLSSSL_MACHINE"] = _os.path.join(_folder.name, "machine", "machine.sqlite")
"""
doctest_global_cleanup = """
_os.environ.pop("MLSSSL_MACHINE", None)
_os.chdir(_back)
_folder.cleanup()
"""

doctest_default_flags = doctest.ELLIPSIS | doctest.DONT_ACCEPT_TRUE_FOR_1
doctest.OutputChecker = ExampleChecker  # pages show real thumbprints and dates; the builder has no setting for this

_logger = logging.getLogger(__name__)
_COLON = "\x01"
_NAME = re.compile(r"(?:mlsssl\.)?[A-Za-z_]\w*(?:\.\w+)*(?:\(\))?")


def _backtick(
    role: str, rawtext: str, text: str, lineno: int, inliner: Inliner, options: object = None, content: object = None
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """What `this` means in a docstring: a link when it names something documented here, plain code otherwise."""
    code = nodes.literal(rawtext, text.replace("\x00", "\\"), classes=["xref", "py"])
    if not _NAME.fullmatch(text):
        return [code], []
    environment: BuildEnvironment = inliner.document.settings.env
    context = environment.ref_context
    link = addnodes.pending_xref(
        rawtext,
        code,
        refdomain="py",
        reftype="obj",
        reftarget=text.removesuffix("()"),
        refexplicit=False,
        refwarn=False,
        refdoc=environment.docname,
        **{"py:module": context.get("py:module") or "mlsssl", "py:class": context.get("py:class")},
    )
    link["mlsssl"] = True
    return [link], []


def _public_name(
    app: Sphinx, environment: BuildEnvironment, node: addnodes.pending_xref, contnode: nodes.TextElement
) -> nodes.Node | None:
    """Find `mlsssl.certificate.Certificate`, or a bare `Certificate` in a signature, under its public name."""
    if node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"])
    domain = environment.domains.python_domain
    parts = target.split(".")
    if len(parts) > 1 and parts[0] not in ("mlsssl", "_select"):  # x509.Certificate is somebody else's
        return contnode if node.get("mlsssl") else None
    for start in range(len(parts)):
        public = ".".join(("mlsssl", *parts[start:]))
        if public in domain.objects and public != target:
            found = domain.objects[public]
            from sphinx.util.nodes import make_refnode

            return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, contnode, public)
    return contnode if node.get("mlsssl") else None


def _escape(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Docstrings are plain text with backticks: what reStructuredText would read into the rest is taken from it."""
    if what == "data":  # its docstring stands below it in its own module, where autodoc does not look
        home, attribute = mlsssl._HOME_OF[name.removeprefix("mlsssl.")], name.rpartition(".")[2]  # noqa: SLF001
        lines[:] = ModuleAnalyzer.for_module(f"mlsssl.{home}").find_attr_docs().get(("", attribute), [])
    for number, line in enumerate(lines):
        parts = line.split("`")
        parts[::2] = [re.sub(r"(?<=\w)_(?!\w)|[*|]", r"\\\g<0>", part) for part in parts[::2]]
        lines[number] = "`".join(parts)
    if what in ("attribute", "data", "property") and lines:
        # Napoleon would take what stands before the first line's colon for a type.
        lines[0] = lines[0].replace(":", _COLON)


def _restore(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    lines[:] = [line.replace(_COLON, ":") for line in lines]


def _shown(signature: str) -> str:
    return re.sub(r"\b(_select\.)?HasPort\b", "Machine", signature)  # the seam's Protocol; callers have a Machine


def _signature(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returned: str | None
) -> tuple[str, str | None] | None:
    return None if signature is None else (_shown(signature), returned)


class _Call(SphinxDirective):
    """`mlsssl-call:: mlsssl.deploy`: autofunction for what is called but is no function."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        called = operator.attrgetter(name.removeprefix("mlsssl."))(mlsssl)
        method = called if inspect.isroutine(called) else called.__call__
        lines = (inspect.getdoc(method) or "").splitlines()
        self.env.app.emit("autodoc-process-docstring", "function", name, method, {}, lines)
        signature = _shown(stringify_signature(inspect.signature(method)))
        heading = [f".. py:function:: {name.removeprefix('mlsssl.')}{signature}", "   :module: mlsssl", ""]
        return self.parse_text_to_nodes("\n".join([*heading, *(f"   {line}" for line in lines)]))


def _source(app: Sphinx, module: str) -> tuple[str, dict[str, tuple[str, int, int]]] | None:
    """Where `deploy` and `renew` are written, for their source links: in the class that each is an object of."""
    called = {"mlsssl.deployment": ("deploy", mlsssl.deploy), "mlsssl.renewal": ("renew", mlsssl.renew)}.get(module)
    if called is None:
        return None
    analyzer = ModuleAnalyzer.for_module(module)
    analyzer.find_tags()
    name, kind = called[0], type(called[1]).__name__
    more = {name: analyzer.tags[f"{kind}.__call__"], f"{name}.plan": analyzer.tags[f"{kind}.plan"]}
    return analyzer.code, analyzer.tags | more


class _Awaitable(SphinxDirective):
    """`mlsssl-awaitable:: mlsssl.aio.deploy mlsssl.deploy`: the first has the arguments of the second."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        name, origin = self.arguments
        awaited = getattr(mlsssl.aio, name.removeprefix("mlsssl.aio."))
        signature = _shown(stringify_signature(inspect.signature(awaited)))
        lines = [f".. py:function:: {name}{signature}", "   :async:", "", f"   `{origin}`, to await."]
        return self.parse_text_to_nodes("\n".join(lines))


def _every_name_has_its_anchor(app: Sphinx, environment: BuildEnvironment) -> None:
    """Say which public name no page has at the anchor that others link to: `mlsssl.deploy` at `#mlsssl.deploy`."""
    documented = environment.domains.python_domain.objects
    modules = (mlsssl, *(getattr(mlsssl, name) for name in ("aio", "bundles", "ccs", "netsh", "strategies", "testing")))
    names = [f"{module.__name__}.{name}" for module in modules for name in module.__all__]
    for name in names:
        if name != "mlsssl.__version__" and (name not in documented or documented[name].node_id != name):
            _logger.warning("%s is on no page, or not at #%s", name, name)


class _RunConsoleSessions(SphinxTransform):
    """Give every Markdown fence of the language `pycon` to the doctest builder: no example can be left out."""

    default_priority = 500

    def apply(self, **kwargs: object) -> None:
        for block in self.document.findall(nodes.literal_block):
            if block.get("language") == "pycon" and "testnodetype" not in block:
                block["testnodetype"] = "doctest"
                block["groups"] = ["default"]
                block["options"] = {}


def setup(app: Sphinx) -> dict[str, bool]:
    roles.register_local_role("mlsssl", _backtick)
    app.add_transform(_RunConsoleSessions)
    app.connect("missing-reference", _public_name)
    app.connect("autodoc-process-docstring", _escape, priority=100)  # before napoleon, which is at 500
    app.connect("autodoc-process-docstring", _restore, priority=900)
    app.add_directive("mlsssl-help", CommandHelp)
    app.add_directive("mlsssl-call", _Call)
    app.add_directive("mlsssl-awaitable", _Awaitable)
    app.connect("autodoc-process-signature", _signature)
    app.connect("viewcode-find-source", _source)
    app.connect("env-check-consistency", _every_name_has_its_anchor)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
