from flask import Flask, Response, request

app = Flask(__name__)


@app.route('/hello')
def hello():
    return 'hello from flask ' + request.args.get('name', '')


@app.route('/form', methods=['POST'])
def form():
    return ','.join('%s=%s' % pair for pair in sorted(request.form.items()))


@app.route('/stream')
def stream():
    return Response(str(number) for number in range(5))


@app.route('/broken')
def broken():
    raise ValueError('in a view')
