import threading

threading.Thread(target=threading.Event().wait, daemon=True, name='background').start()


def application(environ, start_response):
    start_response('200 OK', [])
    return [b'']
