#!/usr/bin/env python3
"""Makes completions and manual pages from the tables of options and commands, as tacet-describe and tacetd-describe print them.

    describe.py bash|zsh|fish TABLES            a completion, on stdout
    describe.py man TEMPLATE TABLES VERSION     a manual page for scdoc: @COMMANDS@ and @OPTIONS@ are filled in
    describe.py rpc TEMPLATE docs/RPC.md VERSION    the same with the document as @BODY@
"""
import re, sys

FILES, FOLDERS = {"FILE", "PATH", "F"}, {"DIR"}


class Table:
    """What one program takes. An option is (name, value, help); a command also has the options that only it takes."""

    def __init__(self, path):
        self.globals, self.commands = [], []
        for line in open(path, encoding="utf-8"):
            kind, *fields = line.rstrip("\n").split("\t")
            if kind == "P":
                self.program = fields[0]
            elif kind == "C":
                self.commands.append(dict(zip(("name", "operands", "summary", "example", "more"), fields), options=[]))
            else:
                (self.commands[-1]["options"] if self.commands else self.globals).append(tuple(fields))

    def options(self):
        """All of them, each once."""
        return list({o[0]: o for o in self.globals + [o for c in self.commands for o in c["options"]]}.values())

    def names(self):
        return [c["name"] for c in self.commands]


def choices(value):
    return value.split("|") if "|" in value else []


# --- completions -------------------------------------------------------------------------------------------------------------------------
def bash(t):
    def words(options):
        return " ".join("--" + o[0] for o in options)

    valued = [o for o in t.options() if o[1]]
    print(f"# bash completion for {t.program}, made from its table of options\n_{t.program}() {{")
    print('    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= i words=')
    print(f'    local everywhere="{words(t.globals) or "--help --version"}"\n    COMPREPLY=()\n    case $prev in')
    for o in valued:
        if choices(o[1]):
            print(f'    --{o[0]}) mapfile -t COMPREPLY < <(compgen -W "{" ".join(choices(o[1]))}" -- "$cur"); return ;;')
    for kind, flag in ((FOLDERS, "-d"), (FILES, "-f")):
        named = "|".join("--" + o[0] for o in valued if o[1] in kind)
        if named:
            print(f'    {named}) compopt -o filenames; mapfile -t COMPREPLY < <(compgen {flag} -- "$cur"); return ;;')
    rest = "|".join("--" + o[0] for o in valued if not choices(o[1]) and o[1] not in FILES | FOLDERS)
    print(f"    {rest}) return ;;\n    esac")
    print("    for ((i = 1; i < COMP_CWORD; i++)); do\n        case ${COMP_WORDS[i]} in")
    print(f"        {'|'.join('--' + o[0] for o in valued)}) i=$((i + 1)) ;;\n        -*) ;;\n        *) command=${{COMP_WORDS[i]}}; break ;;\n        esac\n    done")
    print("    case $command in")
    print(f'    "") words="{" ".join(t.names())}"; [[ $cur != -* ]] || words=$everywhere ;;')
    for c in t.commands:
        print(f'    {c["name"]}) [[ $cur != -* ]] || words="{words(c["options"])} $everywhere" ;;')
    print('    esac\n    [[ -z $words ]] || mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")\n}')
    print(f"complete -o bashdefault -o default -F _{t.program} {t.program}")


def zsh(t):
    def quoted(text):
        return text.replace("'", "'\\''")

    def spec(o):
        help = re.sub(r"([\[\]:\\])", r"\\\1", o[2])
        value = ""
        if choices(o[1]):
            value = f":value:({' '.join(choices(o[1]))})"
        elif o[1]:
            what = "_files -/" if o[1] in FOLDERS else "_files" if o[1] in FILES else " "
            value = f":{o[1].replace(':', ' ')}:{what}"
        return f"'--{o[0]}[{quoted(help)}]{value}'"

    print(f"#compdef {t.program}\n# zsh completion for {t.program}, made from its table of options\n_{t.program}() {{")
    print("    local context state line\n    typeset -A opt_args\n    local -a commands everywhere\n    commands=(")
    for c in t.commands:
        print(f"        '{c['name']}:{quoted(c['summary'].replace(':', chr(92) + ':'))}'")
    print(f"    )\n    everywhere=({' '.join(spec(o) for o in t.globals)})")
    print("    _arguments -C $everywhere '1:command:->command' '*::argument:->argument'\n    case $state in")
    print("    command) _describe -t commands command commands ;;\n    argument)\n        case $line[1] in")
    for c in t.commands:
        print(f"        {c['name']}) _arguments $everywhere {' '.join(spec(o) for o in c['options'])} '*:argument:_files' ;;")
    print(f"        esac ;;\n    esac\n}}\n_{t.program} \"$@\"")


def fish(t):
    def quoted(text):
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def option(o, condition):
        value = ""
        if choices(o[1]):
            value = f" -x -a {quoted(' '.join(choices(o[1])))}"
        elif o[1]:
            value = " -r" if o[1] in FILES | FOLDERS else " -x"
        print(f"complete -c {t.program}{condition} -l {o[0]}{value} -d {quoted(o[2])}")

    print(f"# fish completion for {t.program}, made from its table of options")
    for o in t.globals:
        option(o, "")
    for c in t.commands:
        print(f"complete -c {t.program} -n __fish_use_subcommand -f -a {c['name']} -d {quoted(c['summary'])}")
        for o in c["options"]:
            option(o, f" -n '__fish_seen_subcommand_from {c['name']}'")


# --- manual pages ------------------------------------------------------------------------------------------------------------------------
def plain(text):
    """Text that scdoc takes as it is."""
    return re.sub(r"([\\_*`])", r"\\\1", text)


def option_lines(o, indent):
    return f"{indent}*--{o[0]}*{' ' + plain(o[1]) if o[1] else ''}\n{indent}\t{plain(o[2])}\n"


def command_lines(t, c):
    operands = " " + plain(c["operands"]) if c["operands"] else ""
    more = f"\n\t{plain(c['more'])}\n" if c["more"] else ""
    options = "\n".join(option_lines(o, "\t") for o in c["options"] if o[0] != "help")
    return f"*{t.program} {c['name']}*{operands}\n\t{plain(c['summary'])}\n{more}\n{options}\n\t```\n\t{c['example']}\n\t```\n"


def man(template, tables, version):
    t = Table(tables)
    parts = {"VERSION": version, "COMMANDS": "\n".join(command_lines(t, c) for c in t.commands), "OPTIONS": "\n".join(option_lines(o, "") for o in t.globals)}
    return re.sub(r"@([A-Z]+)@", lambda m: parts[m[1]], open(template, encoding="utf-8").read())


def inline(text):
    """Markdown within a line: code and bold become bold, a link its text."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return "".join(
        f"*{plain(piece.strip('`'))}*" if piece[:1] == "`" and piece.strip("`") else f"*{plain(piece[2:-2])}*" if piece[:2] == "**" else plain(piece)
        for piece in re.split(r"(`[^`]*`|\*\*[^*]*\*\*)", text)
    )


def document(path):
    """docs/RPC.md for scdoc: a row of a table becomes a heading line and an indented one."""
    out, paragraph, literal, rows = [], [], False, 0

    def flush():
        if paragraph:
            first = paragraph[0].startswith("- ")
            out.append(("- " if first else "") + inline(" ".join(paragraph)[2 if first else 0 :]) + "\n")
            paragraph.clear()

    for line in open(path, encoding="utf-8"):
        line = line.rstrip("\n")
        if line.startswith("```"):
            flush()
            literal = not literal
            out.append("```" if literal else "```\n")
        elif literal:
            out.append(line)
        elif line.startswith("#"):
            flush()
            if line.startswith("## "):
                out.append(f"# {line[3:].upper()}\n")
        elif line.startswith("|"):
            flush()
            rows += 1
            cells = [inline(cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if rows > 2:  # the first two are the head and its rule
                out.append(f"{' '.join(c for c in cells[:-1] if c)}\n\t{cells[-1]}\n")
        elif not line.strip():
            flush()
        else:
            if line.startswith("- "):
                flush()
            paragraph.append(line.strip())
        rows = rows if line.startswith("|") else 0
    flush()
    return "\n".join(out)


def rpc(template, path, version):
    parts = {"VERSION": version, "BODY": document(path)}
    return re.sub(r"@([A-Z]+)@", lambda m: parts[m[1]], open(template, encoding="utf-8").read())


def main():
    what, *rest = sys.argv[1:]
    if what in ("man", "rpc"):
        sys.stdout.write({"man": man, "rpc": rpc}[what](*rest))
    else:
        {"bash": bash, "zsh": zsh, "fish": fish}[what](Table(rest[0]))


main()
