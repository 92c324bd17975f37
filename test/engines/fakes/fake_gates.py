"""Stands for CUDA's driver and runtime: graphs that wait for words run when the test says so.

Memory of the device and of the host is the same. Kernels are functions: of a captured graph those
that were launched while it was captured.
"""

import ctypes
import enum
import itertools
import types

import numpy as np

MOVE_UNITS = {32: np.uint32, 8: np.uint8}


class Status(enum.IntEnum):
    SUCCESS = 0
    NOT_SUPPORTED = 801


def word_at(address):
    return ctypes.c_uint32.from_address(address)


class FakeGatedDevice:
    """A device, its `driver` and its `runtime`; `lacks` names calls that it does not know.

    Of each job that was launched, `run` does all steps up to a wait whose word is too small.
    """

    def __init__(self):
        self.lacks = set()
        self.broken = False         # writes nothing any more
        self.chooses = True         # else it takes the first of several graphs
        self._streams = {}          # the steps that are left in each
        self._numbers = itertools.count(100)
        self._graphs = {}           # steps by number
        self._memory = {}           # by address
        self._capturing = None
        self._chosen = {}           # by handle
        self.runtime = types.SimpleNamespace(
            cudaGraph_t=int, cudaMemcpyKind=types.SimpleNamespace(cudaMemcpyDefault=4),
            cudaStreamCaptureMode=types.SimpleNamespace(cudaStreamCaptureModeThreadLocal=1))
        self.driver = types.SimpleNamespace(
            CUdeviceptr=int, cuuint32_t=int, CUgraph=int,
            CUDA_KERNEL_NODE_PARAMS=types.SimpleNamespace,
            CUgraphNodeParams=lambda: types.SimpleNamespace(conditional=types.SimpleNamespace()),
            CUgraphNodeType=types.SimpleNamespace(
                CU_GRAPH_NODE_TYPE_CONDITIONAL='conditional',
                CU_GRAPH_NODE_TYPE_KERNEL='kernel'),
            CUgraphConditionalNodeType=types.SimpleNamespace(CU_GRAPH_COND_TYPE_SWITCH='switch'),
            CUstreamBatchMemOpParams=lambda: types.SimpleNamespace(
                waitValue=types.SimpleNamespace(), writeValue=types.SimpleNamespace()),
            CUDA_BATCH_MEM_OP_NODE_PARAMS=types.SimpleNamespace,
            CUstreamBatchMemOpType=types.SimpleNamespace(
                CU_STREAM_MEM_OP_WAIT_VALUE_32='wait', CU_STREAM_MEM_OP_WRITE_VALUE_32='write'))
        for name in dir(self):
            if name.startswith(('call_cuda', 'call_cu')):
                library = self.runtime if name.startswith('call_cuda') else self.driver
                setattr(library, name[len('call_'):], self._call(name))

    @property
    def jobs(self):
        """Return the steps that are left, of each stream with some."""
        return [steps for steps in self._streams.values() if steps]

    def captured(self, function):
        """Return the number of a captured graph that calls a function."""
        return self._graph([function])

    def run(self):
        """Do what can be done."""
        while not self.broken and sum(map(self._step, self._streams.values())):
            pass

    def submit(self, stream, steps):
        """Add steps to a stream."""
        self._streams.setdefault(stream, []).extend(steps)
        self.run()

    def _step(self, steps):
        """Do a job's next step; tell whether it could be done."""
        if not steps:
            return False
        step = steps[0]
        if callable(step):
            step()
        elif step[0] == 'wait':
            if word_at(step[1]).value < step[2]:
                return False
        else:
            word_at(step[1]).value = step[2]
        steps.pop(0)
        return True

    def _graph(self, steps):
        number = next(self._numbers)
        self._graphs[number] = steps
        return number

    def _call(self, name):
        def call(*arguments):
            if name[len('call_'):] in self.lacks:
                return (Status.NOT_SUPPORTED, None)
            result = getattr(self, name)(*arguments)
            if isinstance(result, tuple):
                return (Status.SUCCESS, *result)
            return (Status.SUCCESS,) if result is None else (Status.SUCCESS, result)
        return call

    def call_cudaDeviceGetStreamPriorityRange(self):
        return [0, -2]

    def call_cudaStreamCreateWithPriority(self, flags, priority):
        return next(self._numbers)

    def call_cudaStreamDestroy(self, stream):
        pass

    def call_cudaStreamSynchronize(self, stream):
        self.run()

    def call_cudaMallocHost(self, size):
        memory = np.full(size, 0x55, np.uint8)
        self._memory[memory.ctypes.data] = memory
        return memory.ctypes.data

    def call_cudaFreeHost(self, address):
        del self._memory[address]

    def call_cudaStreamBeginCapture(self, stream, mode):
        self._capturing = []

    def call_cudaStreamEndCapture(self, stream):
        steps, self._capturing = self._capturing, None
        return self._graph(steps)

    def call_cudaGraphDestroy(self, graph):
        del self._graphs[graph]

    def call_cudaGetLastError(self):
        pass

    def call_cudaGraphInstantiate(self, graph, flags):
        return list(self._graphs[graph])

    def call_cudaGraphExecDestroy(self, executable):
        pass

    def call_cudaGraphLaunch(self, executable, stream):
        self.submit(stream, executable)

    def call_cuStreamWaitValue32(self, stream, address, value, flags):
        self.submit(stream, [('wait', address, value)])

    def call_cuStreamWriteValue32(self, stream, address, value, flags):
        self.submit(stream, [('write', address, value)])

    def call_cuCtxGetCurrent(self):
        return 'context'

    def call_cuModuleLoadData(self, code):
        return code

    def call_cuModuleGetFunction(self, code, name):
        return name if name == b'choose' else MOVE_UNITS[32 if b'ld.global.u32' in code else 8]

    def call_cuLaunchKernel(self, unit, blocks, pairs, *arguments):
        (targets, sources, count), _ = arguments[-2]

        def move():
            for pair in range(pairs):
                target, source = (ctypes.c_uint64.from_address(table + 8 * pair).value
                                  for table in (targets, sources))
                ctypes.memmove(target, source, count * np.dtype(unit).itemsize)
        assert self._capturing is not None, 'a kernel that is not captured'
        self._capturing.append(move)

    def call_cuGraphCreate(self, flags):
        return self._graph([])

    def call_cuGraphDestroy(self, graph):
        del self._graphs[graph]

    def call_cuGraphAddChildGraphNode(self, graph, before, count, child):
        self._check(graph, before, count)
        self._graphs[graph] += self._graphs[child]
        return len(self._graphs[graph])

    def call_cuGraphGetNodes(self, graph, count):
        nodes = range(len(self._graphs[graph]))
        return list(nodes)[:count], len(nodes)

    def call_cuGraphNodeGetType(self, node):
        return 'step'

    def call_cuGraphGetEdges(self, graph, count):
        edges = list(zip(range(len(self._graphs[graph])), range(1, len(self._graphs[graph]))))
        sources, targets = zip(*edges) if edges else ((), ())
        return sources[:count], targets[:count], len(edges)

    def call_cuGraphAddBatchMemOpNode(self, graph, before, count, parameters):
        self._check(graph, before, count)
        operation, = parameters.paramArray
        assert parameters.count == 1 and parameters.ctx == 'context'
        value = getattr(operation, f'{operation.operation}Value')
        self._graphs[graph].append((operation.operation, value.address, value.value))
        return len(self._graphs[graph])

    def call_cuGraphConditionalHandleCreate(self, graph, context, default, flags):
        assert context == 'context' and graph in self._graphs
        return next(self._numbers)

    def call_cuGraphAddKernelNode(self, graph, before, count, parameters):
        self._check(graph, before, count)
        assert parameters.func == b'choose' and parameters.ctx == 'context'
        address, handle = parameters.kernelParams[0]

        def choose():
            self._chosen[handle] = word_at(address).value
        self._graphs[graph].append(choose)
        return len(self._graphs[graph])

    def call_cuGraphAddNode(self, graph, before, data, count, parameters):
        self._check(graph, before, count)
        choice = parameters.conditional
        assert (parameters.type, choice.type, choice.ctx) == ('conditional', 'switch', 'context')
        choice.phGraph_out = bodies = [self._graph([]) for _ in range(choice.size)]

        def run_chosen():
            chosen = self._chosen[choice.handle] if self.chooses else 0
            for step in self._graphs[bodies[chosen]] if chosen < len(bodies) else ():
                step()
        self._graphs[graph].append(run_chosen)
        return len(self._graphs[graph])

    def _check(self, graph, before, count):
        """See that a step waits for the one before it."""
        last = len(self._graphs[graph])
        assert before == ([last] if last else []) and count == len(before)


class FakeShared:
    """An array with addresses."""

    def __init__(self, length, dtype):
        self.array = np.zeros(length, dtype)
        self.view = memoryview(self.array)

    def address(self, index):
        return self.array.ctypes.data + index * self.array.itemsize


class FakeGates:
    """Makes jobs of the functions that a FakeCuda captured; `device` runs them."""

    def __init__(self, cuda, chooses=True):
        self.device = FakeGatedDevice()
        self.chooses = chooses
        self._cuda = cuda

    def words(self, length):
        return FakeShared(length, np.uint32)

    def addresses(self, length):
        return FakeShared(length, np.uint64)

    def move(self, targets, sources, pairs, size, stream):
        for pair in range(pairs):
            target, source = (ctypes.c_uint64.from_address(table + 8 * pair).value
                              for table in (targets, sources))
            ctypes.memmove(target, source, size)

    def job(self):
        return FakeJob(self._cuda, self.device)


class FakeJob:
    """The steps of a job, and then what launches them."""

    def __init__(self, cuda, device):
        self._cuda, self._device = cuda, device
        self._steps = []

    def wait(self, address, least):
        self._steps.append(('wait', address, least))

    def run(self, captured):
        self._steps.append(self._cuda.functions[captured])

    def choose(self, address, captured):
        functions = [self._cuda.functions[graph] for graph in captured]
        self._steps.append(lambda: functions[word_at(address).value]())

    def write(self, address, value):
        self._steps.append(('write', address, value))

    def ready(self):
        return self

    def launch(self, stream):
        self._device.submit(stream, self._steps)
