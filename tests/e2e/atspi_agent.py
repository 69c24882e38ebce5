"""What a screen reader sees, told over a pipe: runs on the system's own Python, which has pyatspi.

One JSON question a line on standard input, one JSON answer a line on standard output. Events move it along: a question
that waits is looked at again after every event of the bus, never after a pause of its own choosing.

Questions: {"do": "tree"|"find"|"gone"|"popup"|"said"|"forget", ...}; see the functions of the same names.
"""

import json
import os
import sys
import time

import pyatspi
from gi.repository import GLib

LOOK_AGAIN_MS = 40
SETTLED_SECONDS = 0.15
"""One key press moves the focus through containers; the last event within this time is where it rests."""
STILL_SECONDS = 0.1
"""What will be clicked on has stood in its place for so long: a window that has just opened is still being placed."""
NO_ROOM = -(2**31)
SCALE = float(os.environ.get("QT_SCALE_FACTOR", "1"))
"""Qt tells places in its own pixels; the mouse needs the screen's."""
STATE_WORDS = (
    "showing visible enabled sensitive focused selected checked expanded expandable focusable editable active modal"
)
STATES = {getattr(pyatspi, f"STATE_{word.upper()}"): word for word in STATE_WORDS.split()}
HEAVY = {"table", "tree table", "tree", "list"}


class Agent:
    """Answers one question after the other, from the loop that also gets the bus's events."""

    def __init__(self):
        self.loop = GLib.MainLoop()
        self.popups = []
        self.said = []
        self.focus = None
        self.focus_count = 0
        self.focus_time = 0.0
        self.waiting = None
        self.left = b""
        self.busy = False
        registry = pyatspi.Registry
        registry.registerEventListener(self.showing, "object:state-changed:showing")
        registry.registerEventListener(self.focused, "object:state-changed:focused")
        registry.registerEventListener(self.announced, "object:announcement")
        registry.registerEventListener(self.anything, "object:children-changed", "object:property-change")
        registry.registerEventListener(self.anything, "object:state-changed:enabled", "object:state-changed:sensitive")
        registry.registerEventListener(self.anything, "window:activate", "object:text-changed")
        GLib.io_add_watch(0, GLib.IO_IN | GLib.IO_HUP, self.read)
        GLib.timeout_add(LOOK_AGAIN_MS, self.tick)

    # --- events ---
    def showing(self, event):
        try:
            if event.source.getRole() == pyatspi.ROLE_POPUP_MENU:
                self.popups = [each for each in self.popups if each != event.source]
                if event.detail1:
                    self.popups.append(event.source)
        except Exception:
            pass
        self.try_again()

    def focused(self, event):
        if event.detail1:
            self.focus = event.source
            self.focus_count += 1
            self.focus_time = time.monotonic()
        self.try_again()

    def announced(self, event):
        self.said.append(str(event.any_data))
        self.try_again()

    def anything(self, _event):
        self.try_again()

    def tick(self):
        self.try_again()
        return True

    # --- the pipe ---
    def read(self, _source, condition):
        more = os.read(0, 65536)
        if not more:
            self.loop.quit()
            return False
        self.left += more
        while b"\n" in self.left:
            line, _, self.left = self.left.partition(b"\n")
            question = json.loads(line)
            self.waiting = (question, time.monotonic() + question.get("within", 0))
            self.try_again()
        return True

    def try_again(self):
        if self.waiting is None or self.busy:  # asking the bus lets its events in, which lead here
            return
        self.busy = True
        try:
            self.answer(*self.waiting)
        finally:
            self.busy = False

    def answer(self, question, end):
        try:
            answer = getattr(self, "do_" + question["do"])(question)
        except Exception as error:  # objects vanish while one looks at them
            answer = None
            trouble = f"{type(error).__name__}: {error}"
        else:
            trouble = ""
        if answer is None and time.monotonic() < end:
            return
        self.waiting = None
        sys.stdout.write(json.dumps({"answer": answer, "trouble": trouble}) + "\n")
        sys.stdout.flush()

    # --- looking ---
    def apps(self):
        desktop = pyatspi.Registry.getDesktop(0)
        return [app for app in desktop if app is not None]

    def roots(self, question):
        roots = [each for each in self.popups if alive(each) and is_showing(each)] if question.get("popup") else []
        if question.get("popup"):
            return roots[-1:]
        return [window for app in self.apps() for window in children(app) if is_showing(window)]

    def do_find(self, question):
        """The node at a path of [role, name] below a showing window; an empty role or name fits all.

        A name that ends in `*` is a beginning, one that starts with `*` a part. `all`: a list of all that fit,
        instead of the uppermost window's first.
        """
        found = []
        for root in reversed(self.roots(question)):
            found += list(search([root], question["path"], question.get("hidden", False)))
            if found and not question.get("all"):
                break
        if question.get("with"):
            wanted = set(question["with"])
            found = [each for each in found if wanted <= set(told_states(each))]
        if question.get("with"):
            now, boxes = time.monotonic(), [told(each)["box"] for each in found[:1]]
            if boxes != question.get("boxes"):
                question["boxes"], question["since"] = boxes, now
            if now - question["since"] < STILL_SECONDS:
                return None
        if question.get("all"):
            return [told(each) for each in found] or (None if not question.get("none") else [])
        return told(found[0]) if found else None

    def do_gone(self, question):
        """True when nothing showing is at the path."""
        return True if self.do_find(question) is None else None

    def do_tree(self, question):
        """Everything that shows below a path, nested."""
        top = self.roots(question)
        if question.get("path"):
            top = [each for root in top for each in search([root], question["path"], False)][:1]
        return [nested(each, question.get("deep", 40)) for each in top] or None

    def do_windows(self, question):
        """Role and name of every window, lowest first, once they are not `but`."""
        found = [[window.getRoleName(), window.name] for window in self.roots({})]
        return None if found == question.get("but") else found

    def do_popup(self, _question):
        """The entries of the popup menu that opened last."""
        for popup in reversed(self.popups):
            if alive(popup) and is_showing(popup):
                return [told(each) for each in children(popup)]
        return None

    def do_nopopup(self, _question):
        """True when no popup menu is open."""
        return None if any(alive(each) and is_showing(each) for each in self.popups) else True

    def do_focus(self, question):
        """The node that has the keyboard, and how often that has changed; `since`: more often than that."""
        settled = time.monotonic() - self.focus_time > SETTLED_SECONDS
        if self.focus is None or not settled or self.focus_count <= question.get("since", -1):
            return None
        return told(self.focus) | {"count": self.focus_count}

    def do_said(self, question):
        """What was announced since `forget`, once a line holds a text."""
        found = [line for line in self.said if question.get("text", "") in line]
        return found or None

    def do_forget(self, _question):
        self.said.clear()
        return True


def alive(node):
    try:
        return node.getState().contains(pyatspi.STATE_VISIBLE)
    except Exception:
        return False


def is_showing(node):
    return node.getState().contains(pyatspi.STATE_SHOWING)


def children(node):
    try:
        count = node.childCount
    except Exception:
        return []
    found = []
    for number in range(count):
        try:
            child = node.getChildAtIndex(number)
        except Exception:
            continue
        if child is not None:
            found.append(child)
    return found


def fits_name(name, wanted):
    if wanted.startswith("*"):
        return wanted[1:] in name
    if wanted.endswith("*"):
        return name.startswith(wanted[:-1])
    return not wanted or name == wanted


def fits(node, role, name):
    return (not role or node.getRoleName() == role) and fits_name(node.name, name)


def search(nodes, path, hidden):
    """Depth first; what does not show is not entered, and tables are entered only for what stands in them."""
    (role, name), rest = path[0], path[1:]
    for node in nodes:
        try:
            if not hidden and not is_showing(node):
                continue
            mine = fits(node, role, name)
            if mine and not rest:
                yield node
                continue
            heavy = node.getRoleName() in HEAVY
            inside = rest if mine else path
            if heavy and not mine and role not in ("table cell", "tree item", "list item", "table column header", ""):
                continue
            yield from search(children(node), inside, hidden)
        except Exception:
            continue


def told_states(node):
    states = node.getState()
    return [name for state, name in STATES.items() if states.contains(state)]


def told(node):
    """A node as JSON: what a reader says of it, and where it is."""
    box = None
    try:
        extents = node.queryComponent().getExtents(pyatspi.DESKTOP_COORDS)
        sides = [extents.x, extents.y, extents.width, extents.height]
        box = [round(each * SCALE) for each in sides] if extents.x != NO_ROOM else None
    except NotImplementedError:
        pass
    text = ""
    try:
        if node.getRoleName() in ("text", "label", "spin button", "password text", "entry"):
            text = node.queryText().getText(0, -1)
    except NotImplementedError:
        pass
    labels = []
    try:
        for relation in node.getRelationSet():
            if relation.getRelationType() == pyatspi.RELATION_LABELLED_BY:
                labels += [relation.getTarget(each).name for each in range(relation.getNTargets())]
    except NotImplementedError:
        pass
    return {
        "labels": labels,
        "role": node.getRoleName(),
        "name": node.name,
        "description": node.description,
        "states": told_states(node),
        "box": box,
        "text": text,
    }


def nested(node, deep):
    found = told(node)
    kids = [each for each in children(node) if is_showing(each)] if deep else []
    found["children"] = [nested(each, deep - 1) for each in kids]
    return found


if __name__ == "__main__":
    agent = Agent()
    sys.stdout.write('{"answer": "ready", "trouble": ""}\n')
    sys.stdout.flush()
    agent.loop.run()
