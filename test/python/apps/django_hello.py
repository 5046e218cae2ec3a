from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    DEBUG=False,
    SECRET_KEY='for tests',
    ALLOWED_HOSTS=['*'],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=['django.middleware.common.CommonMiddleware'],
    LOGGING_CONFIG=None,
)


def hello(request):
    return HttpResponse('hello from django %s' % request.GET.get('name', ''))


def form(request):
    return HttpResponse(','.join('%s=%s' % pair for pair in sorted(request.POST.items())))


def stream(request):
    return StreamingHttpResponse(str(number) for number in range(5))


def file(request):
    return FileResponse(open(request.GET['path'], 'rb'))


def broken(request):
    raise ValueError('in a view')


urlpatterns = [
    path('hello/', hello),
    path('form/', form),
    path('stream/', stream),
    path('file/', file),
    path('broken/', broken),
]
application = get_wsgi_application()
