"""Finds the application that the settings name. Part of fivefold-python, which runs it in the zygote.

load("shop.wsgi:application"), load("shop:create_app('production')"), load("app.py:app"), load("mysite/wsgi.py")
"""
import ast
import importlib
import importlib.machinery
import importlib.util
import os
import sys


class NotFound(Exception):
    """Says, in a sentence, what of the setting cannot be found."""


def prepare(root, path):
    """sys.path as a program in `root` finds it when it is started by hand, `path` first."""
    for folder in reversed([*path, root]):
        folder = os.path.abspath(os.path.join(root, folder))
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)


def load(spec, default):
    """The object of "module", "module:name", "module:name.name", "module:factory(arguments)"; a file may stand for the
    module. `default` is the name when none is given."""
    place, _, expression = spec.partition(":")
    if not place:
        raise NotFound(f'"{spec}" names no module; write "module:{default}"')
    module = _module(place)
    return _object(module, place, expression or default)


def _module(place):
    if "/" in place or place.endswith(".py") or place.endswith(".wsgi") and os.path.isfile(place):
        return _file(place)
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        # A module that the application itself imports in vain is the application's error, with its traceback.
        if error.name and (place == error.name or place.startswith(error.name + ".")):
            raise NotFound(f'There is no module "{place}" in {", ".join(sys.path[:3])} ...{_hint(place)}') from None
        raise


def _hint(place):
    if os.path.exists(place.replace(".", "/") + ".py"):
        return " (its file is there: is one of its folders' names taken by another package?)"
    return ""


def _file(place):
    path = os.path.realpath(place)
    if not os.path.isfile(path):
        raise NotFound(f'There is no file "{place}" in {os.getcwd()}')
    folder, file = os.path.split(path)
    names = [os.path.splitext(file)[0]]
    while names[0].isidentifier() and os.path.exists(os.path.join(folder, "__init__.py")):
        folder, name = os.path.split(folder)
        names.insert(0, name)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = ".".join(names)
    if all(part.isidentifier() for part in names) and file.endswith(".py"):
        module = importlib.import_module(name)
        if os.path.realpath(getattr(module, "__file__", None) or "") == path:
            return module
        del module  # another module of this name comes first
    name = "fivefold_" + "".join(c if c.isalnum() else "_" for c in os.path.splitext(file)[0])
    loader = importlib.machinery.SourceFileLoader(name, path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    sys.modules[name] = module
    loader.exec_module(module)
    return module


def _object(module, place, expression):
    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise NotFound(f'"{expression}" of "{place}:{expression}" is neither a name nor a call of one') from None
    if not isinstance(tree, ast.Call):
        return _attribute(module, place, tree)
    factory = _attribute(module, place, tree.func)
    try:
        arguments = [ast.literal_eval(argument) for argument in tree.args]
        keywords = {keyword.arg: ast.literal_eval(keyword.value) for keyword in tree.keywords if keyword.arg}
    except ValueError:
        raise NotFound(f'The arguments of "{expression}" must be literals: text in quotes, numbers, True, None') from None
    return factory(*arguments, **keywords)


def _attribute(module, place, tree):
    names = []
    while isinstance(tree, ast.Attribute):
        names.insert(0, tree.attr)
        tree = tree.value
    if not isinstance(tree, ast.Name):
        raise NotFound(f'"{place}:{ast.unparse(tree)}" is neither a name nor a call of one')
    found = module
    for name in [tree.id, *names]:
        try:
            found = getattr(found, name)
        except AttributeError:
            there = [n for n, value in vars(found).items() if callable(value) and not n.startswith("_")]
            hint = f'; it has {", ".join(sorted(there)[:8])}' if there else ""
            raise NotFound(f'"{place}" has nothing named "{name}"{hint}') from None
    return found


def check_wsgi(application, spec):
    """What a WSGI server cannot call is told before the first request comes."""
    if _check(application, spec):
        raise NotFound(f'"{spec}" is an ASGI application; write asgi = "{spec}"')


def check_asgi(application, spec):
    """The same for an ASGI server."""
    import inspect
    if not _check(application, spec) and inspect.isfunction(application) and len(inspect.signature(application).parameters) == 2:
        raise NotFound(f'"{spec}" is a WSGI application; write wsgi = "{spec}"')


def _check(application, spec):
    """Whether calling it makes a coroutine, as far as that can be seen."""
    import inspect
    if not callable(application):
        raise NotFound(f'"{spec}" is a {type(application).__name__}, not an application: it cannot be called')
    if inspect.isfunction(application):
        parameters = inspect.signature(application).parameters.values()
        if not any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL) and p.default is p.empty for p in parameters):
            raise NotFound(f'"{spec}" takes no arguments: is it a factory? Then write "{spec}()"')
    call = application if inspect.isroutine(application) else getattr(application, "__call__", None)
    return inspect.iscoroutinefunction(call)


def settle():
    """What the workers are to share moves out of the garbage collector's way. Returns the names of threads that the
    application has started: they do not live on in the workers."""
    import gc
    import threading
    gc.collect()
    gc.freeze()
    return [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
