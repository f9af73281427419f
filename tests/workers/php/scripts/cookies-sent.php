<?php
setcookie('a', '1');
setcookie('b', '2', ['httponly' => true]);
header('X: 1');
header('X: 2', false);
header('Gone: 1');
header_remove('Gone');
@header("Bad: a\r\nInjected: b");
header('Location: /elsewhere');
