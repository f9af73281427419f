<?php
// The contract program, PHP edition. README.md in the folder above says what each path does; every edition does the same.
$path = explode('/', trim($_SERVER['PATH_INFO'] ?? '', '/'));
$query = $_GET;

function head(string ...$fields): void {
    foreach ($fields as $field) {
        if (str_starts_with($field, 'Status: ')) http_response_code((int)substr($field, 8));
        else header($field, false);
    }
    flush();
}

function body(string $data): void {
    echo $data;
    flush();
}

// $size bytes that are the same for everybody: the numbers 0, 1, 2... as eight hexadecimal digits.
function pattern(int $size): iterable {
    for ($at = 0; $at < $size; $at += 65536) {
        $block = '';
        for ($number = intdiv($at, 8); $number < intdiv(min($at + 65536, $size) + 7, 8); $number++) $block .= sprintf('%08x', $number);
        yield substr($block, 0, $size - $at);
    }
}

// The process id goes to the file that the request names, whole at once.
function note_pid(array $query): void {
    if (!isset($query['pid'])) return;
    file_put_contents($query['pid'] . '.new', (string)getmypid());
    rename($query['pid'] . '.new', $query['pid']);
}

function text(string ...$more): void {
    header('Content-Type: text/plain');
    head(...$more);
}

$length = isset($query['length']) && $query['length'] !== '' ? ["Content-Length: {$query['length']}"] : [];

switch ($path[0]) {
    case 'echo':
        $variables = array_filter($_SERVER, 'is_string');
        foreach ($variables as $name => $value) $variables[$name] = iconv('ISO-8859-1', 'UTF-8', $value);
        header('Content-Type: application/json');
        body(json_encode(['environment' => $variables, 'arguments' => [], 'directory' => getcwd()]));
        break;
    case 'body':
        $data = file_get_contents('php://input');
        head('Content-Type: application/octet-stream', 'Content-Length: ' . strlen($data), 'X-Content-Length: ' . ($_SERVER['CONTENT_LENGTH'] ?? ''));
        body($data);
        break;
    case 'download':
        $size = (int)$query['bytes'];
        header('Content-Type: application/octet-stream');
        if (isset($query['length'])) header("Content-Length: $size");
        foreach (pattern($size) as $block) body($block);
        break;
    case 'upload':
        $input = fopen('php://input', 'rb');
        $digest = hash_init('sha256');
        $read = 0;
        while (($block = fread($input, 65536)) !== '' && $block !== false) {
            hash_update($digest, $block);
            $read += strlen($block);
            if (isset($query['slow'])) usleep((int)(1e6 * (float)$query['slow']));
        }
        header('Content-Type: application/json');
        body(json_encode(['sha256' => hash_final($digest), 'length' => $read, 'content_length' => $_SERVER['CONTENT_LENGTH'] ?? null]));
        break;
    case 'duplex':
        header('Content-Type: application/octet-stream');
        $input = fopen('php://input', 'rb');
        while (($block = fread($input, 65536)) !== '' && $block !== false) body($block);
        break;
    case 'ignore-body':
        text();
        body("not read\n");
        break;
    case 'slow':
        text();
        for ($number = 0; $number < (int)$query['lines']; $number++) {
            body("line $number\n");
            usleep((int)(1e6 * (float)$query['interval']));
        }
        break;
    case 'status':
        text("Status: {$path[1]}");
        body("status {$path[1]}\n");
        break;
    case 'many-headers':
        for ($number = 0; $number < (int)$query['count']; $number++) header("X-Number-$number: $number");
        text();
        body("headers\n");
        break;
    case 'cookies':
        text('Set-Cookie: a=1; Path=/', 'Set-Cookie: b=2; Expires=Thu, 01 Jan 2037 00:00:00 GMT');
        body("cookies\n");
        break;
    case 'crash-early':
        posix_kill(getmypid(), (int)($query['signal'] ?? 11));
        sleep(5);
        break;
    case 'crash-late':
        text(...$length);
        body("the beginning\n");
        usleep(100000);
        posix_kill(getmypid(), 9);
        break;
    case 'exit-early':
        throw new RuntimeException('cannot go on');
    case 'hang':
        if (end($path) === 'late') {
            text();
            body("the beginning\n");
        }
        note_pid($query);
        sleep(60);
        break;
    case 'flood-stderr':
        $error = fopen('php://stderr', 'wb');
        for ($number = 0; $number < (int)$query['lines']; $number++) fwrite($error, "complaint $number " . str_repeat('x', 100) . "\n");
        text();
        body("complained\n");
        break;
    case 'endless':
        note_pid($query);
        header('Content-Type: application/octet-stream');
        while (true) body(str_repeat('x', 65536));
    case 'trickle':
        note_pid($query);
        text();
        while (true) {
            body("tick\n");
            usleep(50000);
        }
    case 'redirect':
        if ($path[1] === 'client') {
            header('Location: http://elsewhere.example/x?y=z');
        } elseif ($path[1] === 'client-body') {
            header('Location: http://elsewhere.example/x', true, 307);
            text();
            body("moved\n");
        }
        break;
    case 'no-content':
        head('Status: 204', 'X-A: b');
        break;
    case 'not-modified':
        head("Status: 304", 'ETag: "x"', 'Content-Type: text/plain', 'Content-Length: 5');
        body('hello');
        break;
    case 'length':
        text("Content-Length: {$query['says']}");
        body(str_repeat('x', (int)$query['sends']));
        break;
    case 'sleep':
        note_pid($query);
        usleep((int)(1e6 * (float)$query['seconds']));
        text();
        body("slept {$query['seconds']}\n");
        break;
}
