"""Small, plausible mistakes, created from a module's syntax tree. Each mutant replaces one part of the source.

Strings, annotations, exception messages, and log calls are not mutated, because tests should not pin them. Row locks
are not mutated either, because mutants run on SQLite, which has none.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

OPPOSITES: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.FloorDiv,),
    ast.FloorDiv: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}
BOUNDARIES = {"__lt": "__lte", "__lte": "__lt", "__gt": "__gte", "__gte": "__gt"}
QUERY_STEPS = {"filter", "exclude", "order_by", "distinct"}
NO_CONTEXT = "__import__('contextlib').nullcontext()"
Change = tuple[str, ast.AST, str]
"""(operator, replaced node, new text)"""


@dataclass(frozen=True)
class Mutant:
    """One change of one module. `old` and `new` are the changed lines with whitespace collapsed."""

    module: str
    function: str
    operator: str
    old: str
    new: str
    line: int
    source: str

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """Identifies the mutant independently of line numbers."""
        return self.module, self.function, self.operator, self.old, self.new


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Every mutant of a module in source order, without duplicate keys."""
    tree = ast.parse(source)
    made = (_mutant(module, function, change, source) for function, change in _walk(tree, "", source))
    return list({mutant.key: mutant for mutant in made if _compiles(mutant, source, tree)}.values())


def _walk(node: ast.AST, function: str, source: str) -> Iterator[tuple[str, Change]]:
    for child in _children(node):
        name = function
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            name = f"{function}.{child.name}".lstrip(".")
        yield from ((name, change) for change in _changes(child, source))
        yield from _walk(child, name, source)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_left_alone(child):
                yield child


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return ast.unparse(node.value.func).startswith("logger.")
    return isinstance(node, ast.Raise | ast.Import | ast.ImportFrom | ast.JoinedStr | ast.Assert)


def _changes(node: ast.AST, source: str) -> Iterator[Change]:
    if isinstance(node, ast.stmt):
        yield from _other_steps(node)
    else:
        yield from _other_values(node, source)
    yield from _decided(node)


def _other_values(node: ast.AST, source: str) -> Iterator[Change]:
    match node:
        case ast.Compare() | ast.BoolOp() | ast.BinOp():
            yield from _other_operators(node)
        case ast.UnaryOp(op=ast.Not()):
            yield "condition", node, _text(node.operand)
        case ast.Constant(value=bool()):
            yield "constant", node, str(not node.value)
        case ast.Constant(value=int() | float()):
            yield "constant", node, str(node.value + 1)
        case ast.Attribute(value=ast.Name(id=enum), attr=member) if member.isupper() and enum[0].isupper():
            yield from (("constant", node, f"{enum}.{other}") for other in _next_member(enum, member, source))
        case ast.Call():
            yield from _other_arguments(node)


def _other_steps(node: ast.stmt) -> Iterator[Change]:
    match node:
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield "return", node, "return None"
        case ast.Expr(value=ast.Call()) | ast.AugAssign():
            yield "statement", node, "pass"
        case ast.With():
            yield from (("context", each.context_expr, NO_CONTEXT) for each in node.items if not each.optional_vars)
        case ast.FunctionDef():
            atomic = [each for each in node.decorator_list if "atomic" in ast.unparse(each)]
            yield from (("context", each, "(lambda function: function)") for each in atomic)
            if isinstance(node.returns, ast.Name) and node.returns.id == "bool":
                answers = [each for each in ast.walk(node) if isinstance(each, ast.Return) and each.value]
                yield from (("return", each, f"return not {_text(each.value)}") for each in answers if each.value)


def _decided(node: ast.AST) -> Iterator[Change]:
    """Conditions replaced by True or False. Loops are not made endless, which would only cost time."""
    if isinstance(node, ast.If | ast.IfExp):
        yield from (("condition", node.test, verdict) for verdict in ("True", "False"))
    elif isinstance(node, ast.While):
        yield "condition", node.test, "False"
    elif isinstance(node, ast.comprehension):
        yield from (("condition", each, "True") for each in node.ifs)


def _other_operators(node: ast.Compare | ast.BoolOp | ast.BinOp) -> Iterator[Change]:
    name = {ast.Compare: "comparison", ast.BoolOp: "boolean"}.get(type(node), "arithmetic")
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            for other in OPPOSITES[type(op)]:
                ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
                yield name, node, _text(ast.Compare(node.left, ops, node.comparators))
        return
    for other in OPPOSITES.get(type(node.op), ()):
        yield name, node, _text(type(node)(**{**dict(ast.iter_fields(node)), "op": other()}))
    operands = node.values if isinstance(node, ast.BoolOp) else [node.left, node.right]
    if isinstance(node, ast.BoolOp) or isinstance(node.op, ast.BitAnd | ast.BitOr):
        for place in range(len(operands)):
            left = [*operands[:place], *operands[place + 1 :]]
            yield "condition", node, _text(left[0] if len(left) == 1 else ast.BoolOp(node.op, left))


def _other_arguments(call: ast.Call) -> Iterator[Change]:
    step = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if step in QUERY_STEPS and isinstance(call.func, ast.Attribute):
        yield "query", call, _text(call.func.value)
        for place in range(len(call.args)):
            yield "query", call, _call(call, args=[*call.args[:place], *call.args[place + 1 :]])
    for place, keyword in enumerate(call.keywords):
        others = call.keywords[:place], call.keywords[place + 1 :]
        if ast.unparse(keyword) != "strict=False":  # the default of `zip`
            yield "argument", call, _call(call, keywords=[*others[0], *others[1]])
        lookup = "__" + (keyword.arg or "").rpartition("__")[2]
        if lookup in BOUNDARIES and keyword.arg:
            other = ast.keyword(keyword.arg.removesuffix(lookup) + BOUNDARIES[lookup], keyword.value)
            yield "comparison", call, _call(call, keywords=[*others[0], other, *others[1]])
    is_ordered = ast.unparse(call.func) not in {"max", "min"}
    if is_ordered and len(call.args) > 1 and not any(isinstance(each, ast.Starred) for each in call.args[:2]):
        yield "swap", call, _call(call, args=[call.args[1], call.args[0], *call.args[2:]])


def _call(call: ast.Call, **parts: list[ast.expr] | list[ast.keyword]) -> str:
    return ast.unparse(ast.Call(**{**dict(ast.iter_fields(call)), **parts}))  # type: ignore[arg-type]


def _next_member(enum: str, member: str, source: str) -> list[str]:
    """Another member of the enumeration that the module uses, so that it is known to exist."""
    named = {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == enum
    }
    members = sorted(each for each in named if each.isupper())
    return [members[(members.index(member) + 1) % len(members)]] if len(members) > 1 else []


def _text(node: ast.AST) -> str:
    plain = isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Constant)
    return ast.unparse(node) if plain else f"({ast.unparse(node)})"


def _mutant(module: str, function: str, change: Change, source: str) -> Mutant:
    operator, node, text = change
    lines = source.encode().splitlines(keepends=True)
    first, last = node.lineno - 1, node.end_lineno - 1  # type: ignore[attr-defined]
    head, tail = lines[first][: node.col_offset], lines[last][node.end_col_offset :]  # type: ignore[attr-defined]
    old, new = b"".join(lines[first : last + 1]), head + text.encode() + tail
    changed = b"".join([*lines[:first], new, *lines[last + 1 :]]).decode()
    return Mutant(module, function, operator, _one_line(old), _one_line(new), first + 1, changed)


def _one_line(text: bytes) -> str:
    return " ".join(text.decode().split())


def _compiles(mutant: Mutant, source: str, tree: ast.Module) -> bool:
    """Compile only the changed top-level statement, because whole modules would take most of the time."""
    first, last = next(span for span in map(_span, tree.body) if span[0] <= mutant.line <= span[1])
    lines, after = mutant.source.split("\n"), len(source.split("\n")) - last
    try:
        compile("\n".join(lines[first - 1 : len(lines) - after]), "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _span(statement: ast.stmt) -> tuple[int, int]:
    """The first and last line of a statement, including decorators."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min(node.lineno for node in (statement, *decorators)), statement.end_lineno or 0
