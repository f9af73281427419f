<?php
foreach ($_COOKIE as $name => $value) {
    echo $name, '=', json_encode($value), "\n";
}
