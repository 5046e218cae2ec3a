def deep():
    raise ValueError('not today')


deep()
