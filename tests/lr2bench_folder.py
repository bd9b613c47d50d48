"""A folder laid out as LR²Bench is, with puzzles of our own."""

from __future__ import annotations

import json

SUDOKU = (
    [[4, 0, 0, 0], [0, 3, 2, 0], [0, 4, 1, 0], [0, 0, 0, 2]],
    [[4, 2, 3, 1], [1, 3, 2, 4], [2, 4, 1, 3], [3, 1, 4, 2]],
)
LOGIC = {
    "variables": {
        "prices": ["$10", "$20", "$30"],
        "owners": ["Ada", "Ben", "Cleo"],
        "hats": ["bowler", "cap", "fez"],
    },
    "clues": {
        "1": "Ada paid 10 dollars more than the owner of the fez.",
        "2": "Of Cleo and the owner of the cap, one paid $10 and the other paid $30.",
        "3": "Ada owns the cap.",
    },
}
LOGIC_GOLD = [
    {"prices": "$10", "owners": "Cleo", "hats": "bowler"},
    {"prices": "$20", "owners": "Ben", "hats": "fez"},
    {"prices": "$30", "owners": "Ada", "hats": "cap"},
]
CROSSWORD = (
    "GRID:\n1 2 3\n4 ? ?\n5 ? ?\n\nCLUE:\nACROSS:\n1: Pet (3)\n4: Gone by (3)\n5: Decade (3)\n"
    "DOWN:\n1: Cat, say (3)\n2: Before now (3)\n3: Number (3)"
)
CROSSWORD_GOLD = {
    "1-ACROSS": "CAT",
    "4-ACROSS": "AGE",
    "5-ACROSS": "TEN",
    "1-DOWN": "CAT",
    "2-DOWN": "AGE",
    "3-DOWN": "TEN",
}
DROP_GRID = [["1", "2", "#", "4", "5"], ["1", "2", "3", "#", "#"]]
DROP = (
    f"Here is a drop quote puzzle:\n{DROP_GRID}\n\nColumn 1: C I\nColumn 2: A T\nColumn 3: N\nColumn 4: I\nColumn 5: S"
)
DROP_GOLD = [["I", "T", "#", "I", "S"], ["C", "A", "N", "#", "#"]]
PLAIN = "WHEN THE CAT IS AWAY FROM HOME, THE MICE WILL PLAY."
KEY = {letter: chr((ord(letter) - 65 + 4) % 26 + 65) for letter in PLAIN if letter.isalpha()}
CRYPTOGRAM = f"decipher the cryptogram:\n{''.join(KEY.get(letter, letter) for letter in PLAIN)}\n— Nobody"
CRYPTOGRAM_GOLD = {cipher: letter for letter, cipher in KEY.items()}
ACROSTIC = (
    "Here is an acrostic puzzle:\nPUZZLE:\n1 2 # 3 4 .\n\nCLUES:\nA\n4 1\nA note (1 word, 2 letters)\n"
    "B\n2 3\nTo the left (1 word, 2 letters)"
)
ACROSTIC_GOLD = {"1": "I", "2": "T", "3": "O", "4": "N"}
STATED = {
    "0-crossword": ("3_3", f"Here is a crossword puzzle:\n{CROSSWORD}", CROSSWORD_GOLD),
    "1-acrostic": ("easy", ACROSTIC, ACROSTIC_GOLD),
    "2-logic": ("3_3", f"Here is a logic puzzle:\n{json.dumps(LOGIC, indent=4)}", LOGIC_GOLD),
    "3-cryptogram": ("easy", CRYPTOGRAM, CRYPTOGRAM_GOLD),
    "4-sudoku": ("4_4_easy", f"Here is a 4 x 4 sudoku puzzle:\n{SUDOKU[0]}", {"grid": SUDOKU[0], "answer": SUDOKU[1]}),
    "5-drop": ("easy", DROP, DROP_GOLD),
}
SECRET = "the secret of this row"


def write_folder(folder):
    """The folder, with one puzzle of each family; every row holds a secret beside what is printed."""
    gold = {}
    for name, (level, text, answer) in STATED.items():
        place = folder / name / level
        place.mkdir(parents=True)
        row = {"tag": 7, "mapping": SECRET, "answer": SECRET, "hints": [SECRET], "example_text": text}
        (place / "data.jsonl").write_text(json.dumps(row) + "\n")
        shot = [{"role": "user", "content": "An earlier puzzle."}, {"role": "assistant", "content": "Solved."}]
        turn = [{"role": "user", "content": "Rules.\n\n<example>\n\nBe brief."}]
        (place / "prompt.json").write_text(json.dumps({"zero_shot": turn, "two_shot": [*shot, *turn]}))
        gold[name[2:]] = [{"tag": "7", "level": level, "answer": json.dumps(answer)}]
    (folder / "answer.json").write_text(json.dumps(gold))
    return folder
