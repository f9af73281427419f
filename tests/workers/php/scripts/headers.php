<?php
header('Foo: bar');
header('Foo2: bar2');
header('Foo3:bar3');
header('Invalid');
header('I: ' . $_GET['i']);
http_response_code(201);
echo 'Hello';
