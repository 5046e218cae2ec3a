application = None

def f(:
    pass
