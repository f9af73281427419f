<?php
// Routes, controllers and listeners of a small shop: Symfony's HttpKernel, put together by hand.

use Symfony\Component\EventDispatcher\EventDispatcher;
use Symfony\Component\HttpFoundation\Cookie;
use Symfony\Component\HttpFoundation\File\UploadedFile;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\RedirectResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\RequestStack;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpFoundation\StreamedResponse;
use Symfony\Component\HttpKernel\Controller\ArgumentResolver;
use Symfony\Component\HttpKernel\Controller\ControllerResolver;
use Symfony\Component\HttpKernel\Event\ExceptionEvent;
use Symfony\Component\HttpKernel\EventListener\RouterListener;
use Symfony\Component\HttpKernel\Exception\HttpExceptionInterface;
use Symfony\Component\HttpKernel\HttpKernel;
use Symfony\Component\HttpKernel\KernelEvents;
use Symfony\Component\Routing\Matcher\UrlMatcher;
use Symfony\Component\Routing\RequestContext;
use Symfony\Component\Routing\Route;
use Symfony\Component\Routing\RouteCollection;

require_once 'Symfony/Component/HttpKernel/autoload.php';
require_once 'Symfony/Component/Routing/autoload.php';
require_once __DIR__ . '/message.php';

final class Shop
{
    public int $served = 0;
    public float $booted;

    public function __construct() { $this->booted = microtime(true); }

    public function hello(string $name, Request $request): Response
    {
        return new Response(message() . ", $name, from " . $request->getClientIp() . ' by ' . $request->getHttpHost());
    }

    public function state(Request $request): Response
    {
        $this->served++;
        return new JsonResponse(['pid' => getmypid(), 'served' => $this->served, 'booted' => $this->booted, 'memory' => memory_get_usage(),
            'get' => $request->query->all(), 'post' => $request->request->all(), 'cookies' => $request->cookies->all(),
            'fields' => array_keys($request->headers->all()), 'body' => $request->getContent(), 'globals' => [count($_GET), count($_POST), count($_FILES)]]);
    }

    public function form(Request $request): Response
    {
        $response = new RedirectResponse('/hello/' . rawurlencode($request->request->get('name')), 303);
        $response->headers->setCookie(Cookie::create('name', $request->request->get('name'))->withSameSite('strict'));
        $response->headers->setCookie(Cookie::create('seen', '1'));
        return $response;
    }

    public function upload(Request $request): Response
    {
        $file = $request->files->get('picture');
        if (!$file instanceof UploadedFile || !$file->isValid()) return new Response('no file', 400);
        $size = $file->getSize();
        $kept = $file->move(sys_get_temp_dir(), 'shop-' . getmypid());
        $hash = hash_file('sha256', $kept->getPathname());
        unlink($kept->getPathname());
        return new JsonResponse([$file->getClientOriginalName(), $size, $hash, $request->request->get('title')]);
    }

    public function session(Request $request): Response
    {
        session_start();
        $_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
        $count = $_SESSION['count'];
        session_write_close();
        return new Response("visit $count");
    }

    public function stream(): Response
    {
        return new StreamedResponse(function () {
            for ($i = 0; $i < 100; $i++) {
                echo str_repeat("line $i\n", 100);
                flush();
            }
        }, 200, ['Content-Type' => 'text/plain']);
    }

    public function leave(): Response { exit('left'); }
    public function fail(): Response { return no_such_function(); }
}

$shop = new Shop();
$routes = new RouteCollection();
$routes->add('hello', new Route('/hello/{name}', ['_controller' => [$shop, 'hello']]));
foreach (['state', 'form', 'upload', 'session', 'stream', 'leave', 'fail'] as $name)
    $routes->add($name, new Route("/$name", ['_controller' => [$shop, $name]]));
$routes->get('form')->setMethods(['POST']);

$stack = new RequestStack();
$dispatcher = new EventDispatcher();
$dispatcher->addSubscriber(new RouterListener(new UrlMatcher($routes, new RequestContext()), $stack));
$dispatcher->addListener(KernelEvents::EXCEPTION, function (ExceptionEvent $event) {
    $fault = $event->getThrowable();
    $status = $fault instanceof HttpExceptionInterface ? $fault->getStatusCode() : 500;
    $event->setResponse(new Response("$status: " . get_class($fault), $status, $fault instanceof HttpExceptionInterface ? $fault->getHeaders() : []));
});
return new HttpKernel($dispatcher, new ControllerResolver(), $stack, new ArgumentResolver());
