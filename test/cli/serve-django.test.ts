// A Django project behind `portico serve`, as people have them: settings, urls, views, templates, forms, sessions, the admin.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'
import {
  eventually,
  get,
  needs,
  PYTHON,
  raw,
  request,
  requestBytes,
  serveApp,
  tempDir,
  writeFiles,
} from '../helpers/index.ts'
import type { Response } from '../helpers/index.ts'

const SETTINGS = `from pathlib import Path
BASE = Path(__file__).resolve().parent.parent
SECRET_KEY = 'only for a test'
DEBUG = False
ALLOWED_HOSTS = ['localhost', 'shop.example']
ROOT_URLCONF = 'site_project.urls'
INSTALLED_APPS = ['django.contrib.admin', 'django.contrib.auth', 'django.contrib.contenttypes',
                  'django.contrib.sessions', 'django.contrib.messages', 'django.contrib.staticfiles']
MIDDLEWARE = ['django.middleware.security.SecurityMiddleware',
              'django.contrib.sessions.middleware.SessionMiddleware',
              'django.middleware.common.CommonMiddleware', 'django.middleware.csrf.CsrfViewMiddleware',
              'django.contrib.auth.middleware.AuthenticationMiddleware',
              'django.contrib.messages.middleware.MessageMiddleware']
TEMPLATES = [{'BACKEND': 'django.template.backends.django.DjangoTemplates', 'DIRS': [BASE / 'templates'],
              'APP_DIRS': True, 'OPTIONS': {'context_processors': ['django.template.context_processors.request',
              'django.contrib.auth.context_processors.auth', 'django.contrib.messages.context_processors.messages']}}]
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': BASE / 'db.sqlite3'}}
DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'
STATIC_URL = '/static/'
LOGGING = {'version': 1, 'disable_existing_loggers': False, 'handlers': {'console': {'class': 'logging.StreamHandler'}},
           'root': {'handlers': ['console'], 'level': 'WARNING'}}
`
const URLS = `from django.contrib import admin
from django.urls import path
from . import views
urlpatterns = [path('admin/', admin.site.urls), path('', views.index), path('form/', views.form),
               path('upload/', views.upload), path('away/', views.away), path('stream/', views.stream),
               path('count/', views.count), path('error/', views.error), path('where/', views.where),
               path('file/', views.file)]
`
const VIEWS = `import hashlib
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt

def index(request):
    return render(request, 'index.html', {'name': request.GET.get('name', 'you')})

def form(request):
    if request.method == 'POST':
        return HttpResponse('saved %s' % request.POST['text'])
    return render(request, 'form.html')

@csrf_exempt
def upload(request):
    file = request.FILES['file']
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return JsonResponse({'name': file.name, 'size': file.size, 'sha256': digest.hexdigest()})

def away(request):
    return redirect('/form/')

def stream(request):
    return StreamingHttpResponse(('line %d\\n' % i for i in range(1000)), content_type='text/plain')

def count(request):
    request.session['count'] = request.session.get('count', 0) + 1
    return HttpResponse(str(request.session['count']))

def error(request):
    raise LookupError('django error')

def where(request):
    return HttpResponse(request.build_absolute_uri())

def file(request):
    return FileResponse(open(__file__, 'rb'), as_attachment=True, filename='views.txt')
`
const files = {
  'site_project/__init__.py': '',
  'site_project/settings.py': SETTINGS,
  'site_project/urls.py': URLS,
  'site_project/views.py': VIEWS,
  'site_project/wsgi.py': `import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site_project.settings')
application = get_wsgi_application()
`,
  'templates/index.html': '<h1>Hello, {{ name }}</h1>',
  'templates/form.html': '<form method="post">{% csrf_token %}<input name="text"></form>',
  'manage.py': `import os, sys
from django.core.management import execute_from_command_line
os.environ['DJANGO_SETTINGS_MODULE'] = 'site_project.settings'
execute_from_command_line(sys.argv)
`,
}

class Browser {
  readonly port: number
  readonly cookies = new Map<string, string>()

  constructor(port: number) {
    this.port = port
  }

  async ask(path: string, form?: Readonly<Record<string, string>>): Promise<Response> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { ...(cookie === '' ? {} : { Cookie: cookie }), Referer: 'http://localhost/' }
    const answer =
      form === undefined
        ? await request({ address: this.port, path, headers })
        : await request({
            address: this.port,
            path,
            method: 'POST',
            headers: { ...headers, 'Content-Type': 'application/x-www-form-urlencoded' },
            body: new URLSearchParams(form).toString(),
          })
    for (const [name, value] of answer.headers) {
      const match = name.toLowerCase() === 'set-cookie' ? /^([^=]+)=([^;]*)/.exec(value) : null
      if (match !== null) this.cookies.set(match[1]!, match[2]!)
    }
    return answer
  }
}

function tokenIn(page: string): string {
  return /name="csrfmiddlewaretoken" value="([^"]+)"/.exec(page)![1]!
}

test('Django: templates, forms, uploads, sessions, streams, errors and the admin', async t => {
  if (!needs(t, 'python3', 'django')) return
  const dir = tempDir(t)
  writeFiles(dir, files)
  const manage = (args: readonly string[], more: Readonly<Record<string, string>> = {}): void => {
    const environment = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...more }
    const { status, stderr } = spawnSync(PYTHON, ['manage.py', ...args], {
      cwd: dir,
      env: environment,
      encoding: 'utf8',
    })
    assert.equal(status, 0, stderr)
  }
  manage(['migrate', '--verbosity', '0'])
  manage(['createsuperuser', '--noinput', '--username', 'ada', '--email', 'ada@shop.example'], {
    DJANGO_SUPERUSER_PASSWORD: 'lovelace-1815',
  })
  const server = await serveApp(t, ['-w', '2', '--preload', 'site_project.wsgi:application'], {
    dir,
    env: { PORTICO_PYTHON: PYTHON },
  })
  const browser = new Browser(server.port)

  await t.test('a template, escaped', async () => {
    const page = await browser.ask('/?name=%3Cb%3E%C3%A9')
    assert.equal(page.text, '<h1>Hello, &lt;b&gt;é</h1>')
    assert.equal(page.header('content-type'), 'text/html; charset=utf-8')
    assert.equal((await browser.ask('/nowhere/')).status, 404)
    assert.equal((await get(server.port, '/', { Host: 'evil.example' })).status, 400)
  })

  await t.test('a form with its CSRF cookie, and without it', async () => {
    const csrfmiddlewaretoken = tokenIn((await browser.ask('/form/')).text)
    assert.equal((await browser.ask('/form/', { csrfmiddlewaretoken, text: 'ä & b' })).text, 'saved ä & b')
    assert.equal((await new Browser(server.port).ask('/form/', { csrfmiddlewaretoken, text: 'x' })).status, 403)
  })

  await t.test('an upload that Django keeps in a file', async () => {
    const content = Buffer.alloc(4_000_000, 'upload ')
    const body = Buffer.concat([
      Buffer.from('--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'),
      content,
      Buffer.from('\r\n--x--\r\n'),
    ])
    const headers = { 'Content-Type': 'multipart/form-data; boundary=x' }
    const answer = await request({ address: server.port, method: 'POST', path: '/upload/', headers, body })
    const sha256 = Buffer.from(await crypto.subtle.digest('SHA-256', content)).toString('hex')
    assert.deepEqual(JSON.parse(answer.text), { name: 'a.bin', size: content.length, sha256 })
  })

  await t.test('redirects: a view, and the slash that was forgotten', async () => {
    const away = await browser.ask('/away/')
    assert.deepEqual([away.status, away.header('location')], [302, '/form/'])
    const slash = await browser.ask('/form?a=1')
    assert.deepEqual([slash.status, slash.header('location')], [301, '/form/?a=1'])
    const where = await get(server.port, '/where/?q=%20', { Host: 'shop.example:81' })
    assert.equal(where.text, 'http://shop.example:81/where/?q=%20')
  })

  await t.test('a streaming response and a file', async () => {
    const lines = Array.from({ length: 1000 }, (_, i) => `line ${i}\n`).join('')
    assert.equal((await browser.ask('/stream/')).text, lines)
    const file = await browser.ask('/file/')
    assert.equal(file.text, VIEWS)
    assert.match(file.header('content-disposition')!, /attachment; filename="views\.txt"/)
    const client = await raw(t, server.port)
    await client.send(requestBytes({ path: '/stream/', version: '1.0', headers: { Host: 'localhost' } }))
    assert.ok((await client.response()).text === lines)
  })

  await t.test('a session, whichever worker answers', async () => {
    for (const count of ['1', '2', '3', '4']) assert.equal((await browser.ask('/count/')).text, count)
    assert.equal((await new Browser(server.port).ask('/count/')).text, '1')
  })

  await t.test('an error is a page for the client and a traceback for the log', async () => {
    const page = await browser.ask('/error/')
    assert.equal(page.status, 500)
    assert.doesNotMatch(page.text, /LookupError/)
    await eventually(() => server.output.includes('LookupError: django error'))
  })

  await t.test('the admin: its login page, a login, and the page behind it', async () => {
    const away = await browser.ask('/admin/')
    assert.deepEqual([away.status, away.header('location')], [302, '/admin/login/?next=/admin/'])
    const login = await browser.ask('/admin/login/?next=/admin/')
    assert.match(login.text, /<title>[^<]*Log in/)
    const csrfmiddlewaretoken = tokenIn(login.text)
    const wrong = await browser.ask('/admin/login/?next=/admin/', {
      csrfmiddlewaretoken,
      username: 'ada',
      password: 'x',
    })
    assert.match(wrong.text, /correct username and password/)
    const right = { csrfmiddlewaretoken: tokenIn(wrong.text), username: 'ada', password: 'lovelace-1815' }
    const done = await browser.ask('/admin/login/?next=/admin/', { ...right, next: '/admin/' })
    assert.deepEqual([done.status, done.header('location')], [302, '/admin/'])
    assert.match((await browser.ask('/admin/')).text, /Site administration/)
  })
})
