"""Reading whole media to say what is wrong with them.

It stands on ``tree`` for what is listed and on ``media`` for what lies beside it.
"""
