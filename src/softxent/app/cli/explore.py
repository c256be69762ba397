"""`softxent explore`: opens the explorer page in the browser, or says where it is."""

import webbrowser

import typer

from softxent.app.words import say


def explore(context: typer.Context) -> None:
    from softxent.app.explore import PAGE, VERSION

    lang = context.obj
    opened = webbrowser.open(f"{PAGE.as_uri()}#v={VERSION}&lang={lang}")
    print(say(lang, "page opened" if opened else "no browser", page=PAGE))
